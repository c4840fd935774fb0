import {
  CompactionRequest,
  Compare_CompareResult,
  Compare_CompareTarget,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  type RequestOp,
  TxnRequest,
  TxnResponse,
} from "../../store/proto/gen/rpc.ts";
import { assertRange, assertSerializable, assertTxn } from "./answer-laws.ts";
import type { Answer, Endpoint } from "./caller.ts";
import { type ClientWorld, isRefusal, MemberChoice } from "./clients.ts";
import type { WriteOperation } from "./operations.ts";

const TIMEOUT_MS = 5000;
const KV = "/etcdserverpb.KV/";

export interface KvLoad {
  /** Between two calls of one client, on average. */
  readonly thinkMs: number;
  /** Part of the calls that write. */
  readonly writeRate: number;
  readonly compacts: boolean;
  readonly valueBytes: number;
}

/** A client that puts, deletes, swaps and reads, one call after another. */
export class KvClient {
  readonly #world: ClientWorld;
  readonly #load: KvLoad;
  readonly #members: MemberChoice;
  /** What it last saw of each key. */
  readonly #seen = new Map<string, number>();
  #isOver = false;

  constructor(world: ClientWorld, load: KvLoad) {
    this.#world = world;
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
      await caller.process.delay(chance.longTail(this.#load.thinkMs));
      if (this.#isOver) return;
      if (chance.hits(0.05)) this.#members.change();
      await this.#one(chance.pick(this.#world.keys));
    }
  }

  #one(key: string): Promise<void> {
    const { chance } = this.#world;
    const { writeRate, compacts } = this.#load;
    if (!chance.hits(writeRate)) return chance.hits(0.6) ? this.#read(key) : this.#readSerializable(key);
    if (compacts && chance.hits(0.05)) return this.#compact();
    const kind = chance.next();
    if (kind < 0.5) return this.put(key);
    if (kind < 0.65) return this.#delete(key);
    if (kind < 0.9) return this.#swap(key);
    return this.#putTwo();
  }

  async put(key: string, lease = 0n): Promise<void> {
    const value = this.#value();
    const operation = this.#begin(value, `put ${key}=${value.slice(0, 12)}`);
    const request = PutRequest.fromPartial({ key: latin1(key), value: latin1(value), lease });
    const answer = await this.#call("Put", PutRequest.encode(request).finish());
    if (!this.#isAnswered(answer, operation)) return;
    const { header } = PutResponse.decode(asBuffer(answer.bytes));
    this.#done(operation, header?.revision ?? 0, [key]);
  }

  async #delete(key: string): Promise<void> {
    const { operations, caller } = this.#world;
    const operation = operations.beginDelete(key, caller.process.nowMs);
    const request = DeleteRangeRequest.fromPartial({ key: latin1(key) });
    const answer = await this.#call("DeleteRange", DeleteRangeRequest.encode(request).finish());
    if (!this.#isAnswered(answer, operation)) return;
    const { header, deleted } = DeleteRangeResponse.decode(asBuffer(answer.bytes));
    const revision = header?.revision ?? 0;
    if (deleted > 0) return this.#done(operation, revision, [key]);
    operation.outcome = "done";
    const span = { start: key, end: undefined };
    assertRange(this.#world.chronicle, span, { revision, kvs: [], what: operation.what });
    operations.read(operation.what, operation.floor, revision);
  }

  /** Compare and swap, with what this client last saw of the key. */
  async #swap(key: string): Promise<void> {
    const value = this.#value();
    const expected = this.#seen.get(key) ?? 0;
    const operation = this.#begin(value, `swap ${key}@${expected}=${value.slice(0, 12)}`);
    const range: RequestOp = {
      request: { $case: "requestRange", value: RangeRequest.fromPartial({ key: latin1(key) }) },
    };
    const request: TxnRequest = {
      compare: [
        {
          result: Compare_CompareResult.EQUAL,
          target: Compare_CompareTarget.MOD,
          key: latin1(key),
          targetUnion: { $case: "modRevision", value: expected },
          rangeEnd: Buffer.alloc(0),
        },
      ],
      success: [putOp(key, value)],
      failure: [range],
    };
    const answer = await this.#call("Txn", TxnRequest.encode(request).finish());
    if (!this.#isAnswered(answer, operation)) return;
    const { header, succeeded, responses } = TxnResponse.decode(asBuffer(answer.bytes));
    const revision = header?.revision ?? 0;
    assertTxn(this.#world.chronicle, { key, expected, succeeded, revision, what: operation.what });
    if (succeeded) return this.#done(operation, revision, [key]);
    this.#world.operations.endFailed(operation, "not swapped");
    const read = responses[0]?.response;
    const kvs = read?.$case === "responseRange" ? read.value.kvs : [];
    this.#seen.set(key, kvs[0]?.modRevision ?? 0);
    assertRange(
      this.#world.chronicle,
      { start: key, end: undefined },
      { revision, kvs, what: operation.what },
    );
    this.#world.operations.read(operation.what, operation.floor, revision);
  }

  /** Two keys with one value, in one revision. */
  async #putTwo(): Promise<void> {
    const keys = this.#world.chance.shuffled(this.#world.keys).slice(0, 2);
    const value = this.#value();
    const operation = this.#begin(value, `put ${keys.join("+")}=${value.slice(0, 12)}`);
    const success = keys.map((key) => putOp(key, value));
    const answer = await this.#call("Txn", TxnRequest.encode({ compare: [], success, failure: [] }).finish());
    if (!this.#isAnswered(answer, operation)) return;
    const { header } = TxnResponse.decode(asBuffer(answer.bytes));
    this.#done(operation, header?.revision ?? 0, keys);
  }

  async #read(key: string): Promise<void> {
    const { operations, chronicle, chance } = this.#world;
    const span = chance.hits(0.3) ? this.#everything() : { start: key, end: undefined };
    const { floor } = operations;
    const answer = await this.#call("Range", rangeRequest(span, false));
    if (answer.kind === "error") return this.#failed(answer);
    const { header, kvs } = RangeResponse.decode(asBuffer(answer.bytes));
    const revision = header?.revision ?? 0;
    operations.read(`range ${span.start}`, floor, revision);
    assertRange(chronicle, span, { revision, kvs, what: `range ${span.start}` });
    if (span.end === undefined) this.#seen.set(key, kvs[0]?.modRevision ?? 0);
  }

  async #readSerializable(key: string): Promise<void> {
    const span = { start: key, end: undefined };
    const member = this.#members.get();
    const answer = await this.#call("Range", rangeRequest(span, true), member);
    if (answer.kind === "error") return this.#failed(answer);
    const { header, kvs } = RangeResponse.decode(asBuffer(answer.bytes));
    const revision = header?.revision ?? 0;
    assertRange(this.#world.chronicle, span, { revision, kvs, what: `serializable range ${key}` });
    if (member !== undefined) assertSerializable(this, member.process, revision);
  }

  async #compact(): Promise<void> {
    const revision = Math.max(1, this.#world.chronicle.revision - this.#world.chance.below(40));
    const request = CompactionRequest.encode({ revision, physical: this.#world.chance.hits(0.3) }).finish();
    const answer = await this.#call("Compact", request);
    if (answer.kind === "error") this.#failed(answer);
  }

  #everything(): { readonly start: string; readonly end: string } {
    return { start: this.#world.keys[0] ?? "a", end: "\xff" };
  }

  #call(method: string, request: Uint8Array, member = this.#members.get()): Promise<Answer> {
    return this.#world.caller.call(member as Endpoint, KV + method, request, { timeoutMs: TIMEOUT_MS });
  }

  #begin(value: string, what: string): WriteOperation {
    return this.#world.operations.beginPut(value, what, this.#world.caller.process.nowMs);
  }

  /** False: there is no answer that tells what became of it, or one that it did not happen. */
  #isAnswered(answer: Answer, operation: WriteOperation): answer is Extract<Answer, { kind: "answer" }> {
    if (answer.kind === "answer") return true;
    if (isRefusal(answer.code)) this.#world.operations.endFailed(operation, answer.code);
    else this.#world.operations.endUnknown(operation, answer.code);
    this.#failed(answer);
    return false;
  }

  #failed(_: Extract<Answer, { kind: "error" }>): void {
    this.#members.change();
  }

  #done(operation: WriteOperation, revision: number, keys: readonly string[]): void {
    this.#world.operations.endDone(operation, revision, this.#world.chronicle);
    for (const key of keys) this.#seen.set(key, revision);
  }

  #value(): string {
    return this.#world.newValue().padEnd(this.#world.chance.below(this.#load.valueBytes), ".");
  }
}

function putOp(key: string, value: string): RequestOp {
  const put = PutRequest.fromPartial({ key: latin1(key), value: latin1(value) });
  return { request: { $case: "requestPut", value: put } };
}

function rangeRequest(span: { start: string; end: string | undefined }, serializable: boolean): Uint8Array {
  const request = { key: latin1(span.start), rangeEnd: latin1(span.end ?? ""), serializable };
  return RangeRequest.encode(RangeRequest.fromPartial(request)).finish();
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
