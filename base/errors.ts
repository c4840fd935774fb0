/**
 * An expected failure: a stable `code` for programs, and a message for people that starts with what failed and gives
 * the expected and the actual value ("Cannot open WAL segment 3: format version 2, expected 1 or less").
 */
export class CodedError<Code extends string = string> extends Error {
  override readonly name: string = "CodedError";
  readonly code: Code;

  constructor(code: Code, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The `code` of an error thrown by Node ("ENOENT", "EADDRINUSE") or by us; undefined when it has none. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The message of anything thrown, for a sentence that names the cause. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
