import { encodeRangeResponse, encodeRangeResponseBehind } from "../apply/response-encoding.ts";
import type { EncodedRange } from "../apply/types.ts";
import { checkDeleteRange, checkPut, checkRange, checkTxn, isReadOnly } from "../apply/validate.ts";
import { hasRevisionFilters, isDefaultOrder } from "../mvcc/read-range.ts";
import { encodeMessages } from "../proto/encode-messages.ts";
import { GRPC_CODE } from "../proto/errors.ts";
import {
  CompactionRequest,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { decodeRequest } from "./decode-request.ts";
import type { Proposals } from "./proposals.ts";
import type { ResponseHeaders } from "./response-header.ts";
import { type CallContext, CallError, type Handler, type ServiceTable } from "./service.ts";
import type { Turns } from "./turns.ts";

/** A piece of a RangeStream ends after the record that takes it over this. */
const STREAM_PIECE_BYTES = 1024 * 1024;
/** Key byte of RangeStreamResponse.range_response (field 1, length-delimited). */
const RANGE_RESPONSE_TAG = 0x0a;

export interface KvServiceOptions {
  readonly replica: Replica;
  readonly proposals: Proposals;
  readonly headers: ResponseHeaders;
  readonly turns: Turns;
  readonly txnOpsMax: number;
}

/** The service KV (etcd rpc.proto): reads by read index, everything else through a proposal. */
export function kvService(options: KvServiceOptions): ServiceTable {
  const kv = new Kv(options);
  return new Map<string, Handler>([
    ["/etcdserverpb.KV/Range", { kind: "unary", call: (bytes, context) => kv.range(bytes, context) }],
    [
      "/etcdserverpb.KV/RangeStream",
      {
        kind: "stream",
        call: async (requests, respond, context) => {
          for await (const bytes of requests) await kv.rangeStream(bytes, respond, context);
        },
      },
    ],
    ["/etcdserverpb.KV/Put", { kind: "unary", call: (bytes, context) => kv.put(bytes, context) }],
    [
      "/etcdserverpb.KV/DeleteRange",
      { kind: "unary", call: (bytes, context) => kv.deleteRange(bytes, context) },
    ],
    ["/etcdserverpb.KV/Txn", { kind: "unary", call: (bytes, context) => kv.txn(bytes, context) }],
    ["/etcdserverpb.KV/Compact", { kind: "unary", call: (bytes, context) => kv.compact(bytes, context) }],
  ]);
}

class Kv {
  readonly #options: KvServiceOptions;

  constructor(options: KvServiceOptions) {
    this.#options = options;
  }

  async range(bytes: Uint8Array, context: CallContext): Promise<Buffer> {
    const request = decodeRequest(RangeRequest, bytes);
    checkRange(request);
    const { storeRevision, range } = await this.#read(request, context);
    const { turns, headers } = this.#options;
    return turns.run(encodeRangeResponseBehind(headers.before(storeRevision), range), context);
  }

  async rangeStream(
    bytes: Uint8Array,
    respond: (message: Uint8Array) => Promise<void>,
    context: CallContext,
  ): Promise<void> {
    const request = decodeRequest(RangeRequest, bytes);
    checkRange(request);
    checkStreamable(request);
    const { storeRevision, range } = await this.#read(request, context);
    const { kvs, more, count } = range;
    let from = 0;
    let pieceBytes = 0;
    for (const [index, kv] of kvs.entries()) {
      pieceBytes += kv.length;
      if (pieceBytes < STREAM_PIECE_BYTES || index === kvs.length - 1) continue;
      const piece = encodeRangeResponse(
        { kvs: kvs.slice(from, index + 1), more: false, count: 0 },
        undefined,
      );
      await respond(encodeMessages(RANGE_RESPONSE_TAG, [piece]));
      from = index + 1;
      pieceBytes = 0;
    }
    const rest = encodeRangeResponse({ kvs: kvs.slice(from), more, count }, undefined);
    const last = this.#options.headers.before(storeRevision, rest);
    await respond(encodeMessages(RANGE_RESPONSE_TAG, [last]));
  }

  async put(bytes: Uint8Array, context: CallContext): Promise<Buffer> {
    const { proposals } = this.#options;
    const value = decodeRequest(PutRequest, bytes);
    checkPut(value);
    await proposals.assertRoom({ $case: "put", value }, context);
    const { revision, response } = await proposals.propose("put", bytes, context);
    return this.#options.headers.before(revision, response);
  }

  async deleteRange(bytes: Uint8Array, context: CallContext): Promise<Buffer> {
    checkDeleteRange(decodeRequest(DeleteRangeRequest, bytes));
    const { revision, response } = await this.#options.proposals.propose("deleteRange", bytes, context);
    return this.#options.headers.before(revision, response);
  }

  async txn(bytes: Uint8Array, context: CallContext): Promise<Buffer> {
    const { proposals, headers } = this.#options;
    const value = decodeRequest(TxnRequest, bytes);
    checkTxn(value, this.#options.txnOpsMax);
    if (isReadOnly(value)) return this.#readTxn(value, context);
    await proposals.assertRoom({ $case: "txn", value }, context);
    const { revision, response } = await proposals.propose("txn", bytes, context);
    return headers.before(revision, response);
  }

  async compact(bytes: Uint8Array, context: CallContext): Promise<Buffer> {
    const { proposals, replica, headers } = this.#options;
    const { physical } = decodeRequest(CompactionRequest, bytes);
    const { revision, response } = await proposals.propose("compaction", bytes, context);
    if (physical) {
      await replica.compacted(context);
      // Without it, a crash would bring back what the answer says is gone.
      await replica.state.flush();
    }
    return headers.before(revision, response);
  }

  async #read(
    request: RangeRequest,
    context: CallContext,
  ): Promise<{ readonly storeRevision: number; readonly range: EncodedRange }> {
    const { replica, turns } = this.#options;
    if (!request.serializable) await replica.readIndex(context);
    // Before the read's first step, not after its last: a client watches from this revision + 1 and must miss nothing.
    const storeRevision = replica.state.revision;
    return { storeRevision, range: await turns.run(replica.state.range(request), context) };
  }

  async #readTxn(request: TxnRequest, context: CallContext): Promise<Buffer> {
    const { replica, turns, headers } = this.#options;
    if (!isSerializable(request)) await replica.readIndex(context);
    const { revision, response } = await turns.run(replica.state.readTxn(request), context);
    return headers.before(revision, response);
  }
}

/** True when every op of a read-only transaction allows an answer from this member's own state. */
function isSerializable(txn: TxnRequest): boolean {
  return [...txn.success, ...txn.failure].every(
    ({ request }) => request?.$case === "requestRange" && request.value.serializable,
  );
}

function checkStreamable(request: RangeRequest): void {
  if (!isDefaultOrder(request)) {
    throw new CallError(GRPC_CODE.unimplemented, "RangeStream does not support custom sort orders");
  }
  if (hasRevisionFilters(request)) {
    throw new CallError(GRPC_CODE.unimplemented, "RangeStream does not support revision filters");
  }
}
