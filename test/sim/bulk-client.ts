import {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseRevokeRequest,
  PutRequest,
  RangeRequest,
  RangeResponse,
  type RequestOp,
  TxnRequest,
  TxnResponse,
} from "../../store/proto/gen/rpc.ts";
import { assertCleared, assertRange, assertSerializable } from "./answer-laws.ts";
import type { Answer } from "./caller.ts";
import type { Span } from "./chronicle.ts";
import { type ClientWorld, isRefusal, MemberChoice } from "./clients.ts";
import type { LeaseLaws } from "./lease-laws.ts";
import type { WriteOperation } from "./operations.ts";

const SERVICE = "/etcdserverpb.";
const TIMEOUT_MS = 5000;
/** Operations that a transaction may have. */
const PUTS_MAX = 128;
const LEASE_SECONDS = 4;
const ALL: Span = { start: "m", end: "n" };
/** Outside of it. */
const MARKER = "n";

export interface BulkLoad {
  /** Of one filling. */
  readonly keys: number;
  /** Between two fillings, typically. */
  readonly pauseMs: number;
}

/**
 * A client whose requests change many keys at once: it fills a range by large transactions and takes it away in one
 * revision, by a deletion, in a transaction, or with a lease. It looks at the range meanwhile: whoever applies such a
 * request in several turns shows all of it or nothing.
 */
export class BulkClient {
  readonly #world: ClientWorld;
  readonly #laws: LeaseLaws;
  readonly #load: BulkLoad;
  readonly #members: MemberChoice;
  #isOver = false;

  constructor(world: ClientWorld, laws: LeaseLaws, load: BulkLoad) {
    this.#world = world;
    this.#laws = laws;
    this.#load = load;
    this.#members = new MemberChoice(world);
  }

  start(): void {
    this.#run().catch((error: unknown) => this.#world.onViolation(error));
  }

  stop(): void {
    this.#isOver = true;
  }

  async #run(): Promise<void> {
    const { caller, chance } = this.#world;
    while (!this.#isOver) {
      await caller.process.delay(chance.longTail(this.#load.pauseMs));
      if (this.#isOver) return;
      const lease = chance.hits(0.3) ? await this.#grant() : 0n;
      for (let key = 0; key < this.#load.keys && !this.#isOver; key += PUTS_MAX) await this.#fill(key, lease);
      if (this.#isOver) return;
      const looking = this.#look();
      await (lease !== 0n ? this.#revoke(lease) : chance.hits(0.5) ? this.#clear() : this.#clearAndMark());
      await looking;
    }
  }

  async #fill(from: number, lease: bigint): Promise<void> {
    const { newValue } = this.#world;
    const value = newValue();
    const keys = Array.from({ length: Math.min(PUTS_MAX, this.#load.keys - from) }, (_, i) =>
      keyOf(from + i),
    );
    const operation = this.#begin(value, `put ${keys[0]}..=${value}`);
    await this.#txn(
      operation,
      keys.map((key) => putOp(key, value, lease)),
    );
  }

  async #clear(): Promise<void> {
    const { operations, chronicle, caller } = this.#world;
    const span = this.#span();
    const operation = operations.beginDelete(textOf(span), caller.process.nowMs);
    const answer = await this.#call("KV/DeleteRange", DeleteRangeRequest.encode(deleteRange(span)).finish());
    if (!this.#isAnswered(answer, operation)) return;
    const { header, deleted } = DeleteRangeResponse.decode(asBuffer(answer.bytes));
    const revision = header?.revision ?? 0;
    assertCleared(chronicle, span, { revision, deleted, what: operation.what });
    if (deleted > 0) return operations.endDone(operation, revision, chronicle);
    operation.outcome = "done";
    operations.read(operation.what, operation.floor, revision);
  }

  /** In one transaction with a write elsewhere, which finds it in the history. */
  async #clearAndMark(): Promise<void> {
    const { newValue, chronicle } = this.#world;
    const value = newValue();
    const span = this.#span();
    const operation = this.#begin(value, `delete ${textOf(span)}, put ${MARKER}=${value}`);
    const deletion: RequestOp = { request: { $case: "requestDeleteRange", value: deleteRange(span) } };
    const done = await this.#txn(operation, [deletion, putOp(MARKER, value, 0n)]);
    const response = done?.responses[0]?.response;
    if (done === undefined || response?.$case !== "responseDeleteRange") return;
    const { deleted } = response.value;
    assertCleared(chronicle, span, { revision: done.header?.revision ?? 0, deleted, what: operation.what });
  }

  async #grant(): Promise<bigint> {
    const askedMs = this.#world.caller.process.nowMs;
    const request = LeaseGrantRequest.encode({ ID: 0n, TTL: LEASE_SECONDS }).finish();
    const answer = await this.#call("Lease/LeaseGrant", request);
    if (answer.kind === "error") return 0n;
    const { ID, TTL } = LeaseGrantResponse.decode(asBuffer(answer.bytes));
    this.#laws.promised(ID, askedMs, TTL);
    return ID;
  }

  async #revoke(lease: bigint): Promise<void> {
    this.#laws.revoking(lease);
    await this.#call("Lease/LeaseRevoke", LeaseRevokeRequest.encode({ ID: lease }).finish());
  }

  /** Reads of single members, a few in a row, while they apply. */
  async #look(): Promise<void> {
    const { caller, chance, chronicle } = this.#world;
    const what = `serializable range ${textOf(ALL)}`;
    const request = { ...asRange(ALL), serializable: true };
    for (let looks = 0; looks < 3; looks += 1) {
      const member = chance.pick(this.#world.endpoints());
      const bytes = RangeRequest.encode(RangeRequest.fromPartial(request)).finish();
      const answer = await caller.call(member, `${SERVICE}KV/Range`, bytes, { timeoutMs: TIMEOUT_MS });
      if (answer.kind === "error" || member === undefined) continue;
      const { header, kvs } = RangeResponse.decode(asBuffer(answer.bytes));
      const revision = header?.revision ?? 0;
      assertRange(chronicle, ALL, { revision, kvs, what });
      assertSerializable(this, member.process, revision);
    }
  }

  /** All of the range, or a part of it. */
  #span(): Span {
    const { chance } = this.#world;
    if (chance.hits(0.6)) return ALL;
    const from = chance.below(this.#load.keys);
    return { start: keyOf(from), end: keyOf(from + 1 + chance.below(this.#load.keys)) };
  }

  async #txn(operation: WriteOperation, success: RequestOp[]): Promise<TxnResponse | undefined> {
    const answer = await this.#call(
      "KV/Txn",
      TxnRequest.encode({ compare: [], success, failure: [] }).finish(),
    );
    if (!this.#isAnswered(answer, operation)) return undefined;
    const response = TxnResponse.decode(asBuffer(answer.bytes));
    this.#world.operations.endDone(operation, response.header?.revision ?? 0, this.#world.chronicle);
    return response;
  }

  async #call(method: string, request: Uint8Array): Promise<Answer> {
    const options = { timeoutMs: TIMEOUT_MS };
    const answer = await this.#world.caller.call(this.#members.get(), SERVICE + method, request, options);
    if (answer.kind === "error") this.#members.change();
    return answer;
  }

  #begin(value: string, what: string): WriteOperation {
    return this.#world.operations.beginPut(value, what, this.#world.caller.process.nowMs);
  }

  /** False: there is no answer that tells what became of it, or one that it did not happen. */
  #isAnswered(answer: Answer, operation: WriteOperation): answer is Extract<Answer, { kind: "answer" }> {
    if (answer.kind === "answer") return true;
    if (isRefusal(answer.code)) this.#world.operations.endFailed(operation, answer.code);
    else this.#world.operations.endUnknown(operation, answer.code);
    return false;
  }
}

function keyOf(number: number): string {
  return `m${number.toString().padStart(5, "0")}`;
}

function textOf({ start, end }: Span): string {
  return `${start}..${end}`;
}

function putOp(key: string, value: string, lease: bigint): RequestOp {
  const put = PutRequest.fromPartial({ key: latin1(key), value: latin1(value), lease });
  return { request: { $case: "requestPut", value: put } };
}

function deleteRange(span: Span): DeleteRangeRequest {
  return DeleteRangeRequest.fromPartial(asRange(span));
}

function asRange({ start, end }: Span): { readonly key: Buffer; readonly rangeEnd: Buffer } {
  return { key: latin1(start), rangeEnd: latin1(end ?? "") };
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
