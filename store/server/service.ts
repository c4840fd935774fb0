import type { GrpcCode } from "../proto/errors.ts";

/**
 * Services know nothing of the transport: a table from method path to handler, over marshalled messages. An adapter
 * (grpc-js today) carries the table; another adapter changes no handler.
 */
export type ServiceTable = ReadonlyMap<string, Handler>;

export type Handler =
  | { readonly kind: "unary"; readonly call: UnaryHandler }
  | { readonly kind: "stream"; readonly call: StreamHandler };

/** Metadata keys are lower case; of repeated ones the first counts. */
export interface CallContext {
  readonly metadata: ReadonlyMap<string, string>;
  /** Aborted when the client cancelled, its deadline passed or the connection broke. */
  readonly signal: AbortSignal;
  /** The client's address, for logs. */
  readonly peer: string;
}

/** Takes and gives one marshalled message; throws StoreError or {@link CallError}. The request bytes are the handler's to keep. */
export type UnaryHandler = (request: Uint8Array, context: CallContext) => Promise<Uint8Array>;

/** Requests come as they arrive; `respond` resolves when the transport has room for more. Returning ends the stream with OK. */
export type StreamHandler = (
  requests: AsyncIterable<Uint8Array>,
  respond: (message: Uint8Array) => Promise<void>,
  context: CallContext,
) => Promise<void>;

/** An answer that is not in the store's table: a gRPC status of its own. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly grpcCode: GrpcCode;

  constructor(grpcCode: GrpcCode, message: string) {
    super(message);
    this.grpcCode = grpcCode;
  }
}
