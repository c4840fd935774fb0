import { errorMessage } from "../base/errors.ts";
import { ClientError } from "../store/client/client-error.ts";

/** What follows "Error: ": the store's own words, as etcdctl prints them; where there was no answer, why not. */
export function printedError(error: unknown): string {
  if (!(error instanceof ClientError)) return errorMessage(error);
  const noAnswer = error.code === "Unreachable" || error.code === "DeadlineExceeded";
  return noAnswer ? `context deadline exceeded: ${error.message}` : error.detail;
}
