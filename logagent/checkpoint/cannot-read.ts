import { CodedError } from "../../base/errors.ts";
import { fileProblem } from "../../conf/file-problem.ts";

/** A file of the data folder that cannot be read, and is not damaged: the disk's own error names neither it nor what is expected. */
export function cannotRead(
  what: "checkpoints" | "loss records",
  path: string,
  error: unknown,
): CodedError<string> {
  if (error instanceof CodedError) return error;
  return new CodedError("EUNREADABLE", `Cannot read ${what} ${path}: ${fileProblem(error)}`, {
    cause: error,
  });
}
