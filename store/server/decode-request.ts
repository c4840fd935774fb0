import { errorCode, errorMessage } from "../../base/errors.ts";
import { GRPC_CODE } from "../proto/errors.ts";
import { CallError } from "./service.ts";

/**
 * Decodes a client's message with one of the generated decoders. Throws CallError INTERNAL for bytes that are not such a
 * message, as grpc-go does.
 */
export function decodeRequest<Message>(
  type: { decode(bytes: Uint8Array): Message },
  bytes: Uint8Array,
): Message {
  try {
    return type.decode(bytes);
  } catch (error) {
    if (errorCode(error) !== "PROTO_MALFORMED") throw error;
    throw new CallError(GRPC_CODE.internal, `grpc: error unmarshalling request: ${errorMessage(error)}`);
  }
}
