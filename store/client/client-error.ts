import { CodedError } from "../../base/errors.ts";
import type { ClientErrorCode } from "./types.ts";

/**
 * A call to the store that failed. The message starts with what failed and names the endpoints tried and the cause;
 * `detail` is the cause alone (the store's own words, where it answered), for programs that print as etcdctl does.
 */
export class ClientError extends CodedError<ClientErrorCode> {
  override readonly name = "ClientError";
  readonly detail: string;
  /** The store did not act on the request, or acting twice is harmless: the caller may send it again. */
  readonly retryable: boolean;

  constructor(
    code: ClientErrorCode,
    message: string,
    options: { readonly detail: string; readonly retryable: boolean; readonly cause?: unknown },
  ) {
    super(code, message, { cause: options.cause });
    this.detail = options.detail;
    this.retryable = options.retryable;
  }
}
