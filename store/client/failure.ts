import type { ServiceError } from "@grpc/grpc-js";
import { GRPC_CODE, STORE_ERRORS, type StoreErrorCode } from "../proto/errors.ts";
import type { ClientErrorCode } from "./types.ts";

/** How one try at one endpoint failed. */
export interface Failure {
  readonly code: ClientErrorCode;
  /** The store's words, or the transport's, without the wrapping of the library. */
  readonly detail: string;
  /** False only where the request provably did not leave this process: then even a write may be sent again. */
  readonly left: boolean;
  /** Another try, or another endpoint, may succeed. */
  readonly transient: boolean;
  /** The store itself said no: the connection is good. */
  readonly answered: boolean;
  readonly cause: unknown;
}

/** Trouble on the way to the store and back, that no gRPC status tells of; another try may do better. */
export class TransportTrouble extends Error {
  override readonly name = "TransportTrouble";
  /** As in {@link Failure}. */
  readonly left: boolean;

  constructor(message: string, options: { readonly left: boolean }) {
    super(message);
    this.left = options.left;
  }
}

const CODE_BY_TEXT: ReadonlyMap<string, StoreErrorCode> = new Map(
  Object.entries(STORE_ERRORS).map(([code, [, text]]) => [text, code as StoreErrorCode]),
);

/** What grpc-js says when a call ended before it had a connection to leave by. */
const NOT_SENT = /^(No connection established|Name resolution failed|Channel closed before call started)/;

/** etcd's words for a request without (good) credentials; it does not always use the status code of its own for them. */
const NOT_AUTHENTICATED = /^etcdserver: (invalid auth token|user name is empty|authentication failed)/;

/** What grpc-js throws for a call on a connection that was closed while the call was about to begin. */
const SHUT_DOWN = "Channel has been shut down";

/** Reads what a try threw: a gRPC status, or trouble before there was one. Throws anything else on: it is a bug. */
export function failureOf(error: unknown): Failure {
  if (error instanceof TransportTrouble) {
    const { message: detail, left } = error;
    return { code: "Unreachable", detail, left, transient: true, answered: false, cause: error };
  }
  if (error instanceof Error && error.message === SHUT_DOWN) {
    const detail = "the connection was closed";
    return { code: "Unreachable", detail, left: false, transient: true, answered: false, cause: error };
  }
  if (!isServiceError(error)) throw error;
  const detail = readableDetail(error.details);
  return {
    code: codeOf(error, detail),
    detail,
    left: !(error.code === GRPC_CODE.unavailable && NOT_SENT.test(error.details)),
    transient: isTransient(error),
    answered: CODE_BY_TEXT.has(detail),
    cause: error,
  };
}

/** The code of the store's error with these words, if it is one of the table. */
export function storeErrorCode(text: string): StoreErrorCode | undefined {
  return CODE_BY_TEXT.get(text);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

function codeOf(error: ServiceError, detail: string): ClientErrorCode {
  const known = CODE_BY_TEXT.get(detail);
  if (known !== undefined) return known;
  switch (error.code) {
    case GRPC_CODE.unavailable:
      return "Unreachable";
    case GRPC_CODE.deadlineExceeded:
      return "DeadlineExceeded";
    case GRPC_CODE.unauthenticated:
      return "Unauthenticated";
    default:
      return NOT_AUTHENTICATED.test(detail) ? "Unauthenticated" : "Rejected";
  }
}

function isTransient(error: ServiceError): boolean {
  switch (error.code) {
    case GRPC_CODE.unavailable:
    case GRPC_CODE.deadlineExceeded:
      return true;
    case GRPC_CODE.canceled:
      // Not ours: an aborted signal is looked at before the failure is.
      return true;
    case GRPC_CODE.internal:
      // How grpc-js tells of a stream that a dying server or proxy reset.
      return error.details.startsWith("Received RST_STREAM");
    default:
      return false;
  }
}

/** "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: " → the middle part. */
function readableDetail(details: string): string {
  const lastError = /Last error: (?:Error: )?(.*?)\.? Resolution note:/s.exec(details)?.[1];
  // The library puts the time into some; a reason that is the same must read the same.
  if (lastError !== undefined) return lastError.replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)$/, "");
  if (details.startsWith("Deadline exceeded")) return "no answer in time";
  return details;
}
