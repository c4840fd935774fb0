import { errorMessage } from "../base/errors.ts";
import { ClientError } from "../store/client/client-error.ts";

/** What follows "Error: ": the store's own words, as etcdctl prints them; where there was no answer, why not. */
export function printedError(error: unknown): string {
  if (!(error instanceof ClientError)) return errorMessage(error);
  return isWithoutAnswer(error) ? `context deadline exceeded: ${error.message}` : error.detail;
}

/** {@link printedError} where the endpoint that was asked is named already. */
export function printedCause(error: ClientError): string {
  return isWithoutAnswer(error) ? `context deadline exceeded: ${error.detail}` : error.detail;
}

function isWithoutAnswer(error: ClientError): boolean {
  return error.code === "Unreachable" || error.code === "DeadlineExceeded";
}
