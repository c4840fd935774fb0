import { errorCode, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { GRPC_CODE, type GrpcCode, StoreError } from "../proto/errors.ts";
import { CallError } from "./service.ts";

/** A call's end as gRPC carries it: code and text. */
export interface GrpcStatus {
  readonly code: GrpcCode;
  readonly details: string;
}

/**
 * The status for what a handler threw. A store error has etcd's code and words; a cancelled call is CANCELLED; anything
 * else is a fault of ours: logged, and INTERNAL without its inside.
 */
export function statusOf(
  error: unknown,
  context: { readonly path: string; readonly logger: Logger },
): GrpcStatus {
  if (error instanceof StoreError || error instanceof CallError) {
    return { code: error.grpcCode, details: error.message };
  }
  if (errorCode(error) === "ABORT_ERR" || (error instanceof Error && error.name === "AbortError")) {
    return { code: GRPC_CODE.canceled, details: "context canceled" };
  }
  context.logger.error(
    { path: context.path, error: errorMessage(error), stack: stackOf(error) },
    "call failed",
  );
  return { code: GRPC_CODE.internal, details: `logstore: internal error in ${context.path}` };
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
