import type { RangeAnswer } from "../mvcc/read-range.ts";
import { BinaryWriter } from "../proto/binary-writer.ts";
import { encodeMessages, encodeMessagesBetween } from "../proto/encode-messages.ts";

/**
 * Response messages with stored records spliced in, which are marshalled already. The header is field 1 of each; inside a
 * transaction's answer it carries the revision alone, and `headerRevision` undefined leaves it out.
 */
export function encodeRangeResponse(answer: RangeAnswer, headerRevision: number | undefined): Buffer {
  const head = beginResponse(headerRevision).finish();
  return Buffer.concat([head, encodeMessages(KVS_TAG, answer.kvs), rangeTail(answer)]);
}

/** A whole RangeResponse behind its marshalled header field, in steps. */
export function encodeRangeResponseBehind(
  header: Uint8Array,
  answer: RangeAnswer,
): Generator<undefined, Buffer> {
  return encodeMessagesBetween(header, { tag: KVS_TAG, messages: answer.kvs }, rangeTail(answer));
}

function rangeTail({ more, count }: RangeAnswer): Buffer {
  const tail = new BinaryWriter();
  if (more) tail.uint32(MORE_TAG).bool(true);
  if (count !== 0) tail.uint32(COUNT_TAG).int64(count);
  return tail.finish();
}

/** rpc.proto PutResponse; `previous`: what was there, when asked for. */
export function encodePutResponse(
  previous: Uint8Array | undefined,
  headerRevision: number | undefined,
): Buffer {
  const writer = beginResponse(headerRevision);
  if (previous !== undefined) writer.uint32(PREV_KV_TAG).bytes(previous);
  return writer.finish();
}

/** rpc.proto DeleteRangeResponse. */
export function encodeDeleteRangeResponse(
  answer: { readonly deleted: number; readonly previous: readonly Uint8Array[] },
  headerRevision: number | undefined,
): Buffer {
  const writer = beginResponse(headerRevision);
  if (answer.deleted !== 0) writer.uint32(DELETED_TAG).int64(answer.deleted);
  for (const record of answer.previous) writer.uint32(PREV_KVS_TAG).bytes(record);
  return writer.finish();
}

/** One answer of a transaction: a marshalled response and which member of ResponseOp's oneof it is. */
export interface OpResponse {
  readonly kind: keyof typeof RESPONSE_OP_TAGS;
  readonly response: Uint8Array;
}

/** rpc.proto TxnResponse. A nested one has an empty header, as in etcd: `headerRevision` 0. */
export function encodeTxnResponse(
  answer: { readonly succeeded: boolean; readonly responses: readonly OpResponse[] },
  headerRevision: number | undefined,
): Buffer {
  const writer = beginResponse(headerRevision);
  if (answer.succeeded) writer.uint32(SUCCEEDED_TAG).bool(true);
  for (const { kind, response } of answer.responses) {
    writer.uint32(RESPONSES_TAG).fork().uint32(RESPONSE_OP_TAGS[kind]).bytes(response).join();
  }
  return writer.finish();
}

const HEADER_TAG = 0x0a;
const HEADER_REVISION_TAG = 0x18;
const KVS_TAG = 0x12;
const MORE_TAG = 0x18;
const COUNT_TAG = 0x20;
const PREV_KV_TAG = 0x12;
const DELETED_TAG = 0x10;
const PREV_KVS_TAG = 0x1a;
const SUCCEEDED_TAG = 0x10;
const RESPONSES_TAG = 0x1a;
const RESPONSE_OP_TAGS = { range: 0x0a, put: 0x12, deleteRange: 0x1a, txn: 0x22 } as const;

function beginResponse(headerRevision: number | undefined): BinaryWriter {
  const writer = new BinaryWriter();
  if (headerRevision === undefined) return writer;
  writer.uint32(HEADER_TAG).fork();
  if (headerRevision > 0) writer.uint32(HEADER_REVISION_TAG).int64(headerRevision);
  return writer.join();
}
