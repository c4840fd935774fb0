import { errorCode, errorMessage } from "../base/errors.ts";

/** Why a file that a person named could not be read, as a clause. */
export function fileProblem(error: unknown): string {
  switch (errorCode(error)) {
    case "ENOENT":
      return "there is no such file";
    case "EISDIR":
      return "it is a folder, expected a file";
    case "ENOTDIR":
      return "a part of its path is a file, expected a folder";
    case "EACCES":
      return "this user may not read it";
    default:
      return errorMessage(error);
  }
}
