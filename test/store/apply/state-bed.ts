import assert from "node:assert/strict";
import { runAtOnce } from "../../../base/steps.ts";
import { openStateMachine } from "../../../store/apply/state-machine.ts";
import type { ApplyOutcome, Configure, OpenedStateMachine } from "../../../store/apply/types.ts";
import { MemBackend, MemFile } from "../../../store/backend/mem-backend.ts";
import { InternalRaftRequest } from "../../../store/proto/gen/internal.ts";
import {
  type CompactionRequest,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  TxnRequest,
  TxnResponse,
} from "../../../store/proto/gen/rpc.ts";
import type { Entry } from "../../../store/raft/types.ts";
import { configurer } from "../membership/configurer.ts";
import { fromRecord, type ModelKv } from "../mvcc/model.ts";

export type Request = NonNullable<InternalRaftRequest["request"]>;

export interface StateBedOptions {
  readonly quotaBytes?: number;
}

/** A state machine over memory, with the log that it was fed: it can crash and be brought back by replay. */
export class StateBed {
  readonly log: Entry[] = [];
  readonly #options: StateBedOptions;
  file = new MemFile();
  backend: MemBackend;
  opened: OpenedStateMachine;
  /** Stands for the core's applyConfChange. */
  configure: Configure = configurer().configure;

  constructor(options: StateBedOptions = {}) {
    this.#options = options;
    this.backend = new MemBackend({ file: this.file });
    this.opened = this.#open();
  }

  get state(): OpenedStateMachine["state"] {
    return this.opened.state;
  }

  /** Appends a request to the log and applies it. */
  apply(request: Request): ApplyOutcome {
    const data = InternalRaftRequest.encode({
      header: { ID: BigInt(this.log.length + 1), username: "", authRevision: 0 },
      request,
    }).finish();
    return this.applyEntry({ term: 1, index: this.log.length + 1, kind: "normal", data });
  }

  applyEntry(entry: Entry): ApplyOutcome {
    this.log.push(entry);
    return runAtOnce(this.state.apply(entry, this.configure)).outcome;
  }

  /** The process dies now and starts again: what was not flushed comes back from the log. */
  crashAndReplay(): void {
    this.backend.crash();
    this.backend = new MemBackend({ file: this.file });
    this.opened = this.#open();
    assert.equal(this.state.flushedIndex, this.state.appliedIndex);
    this.configure = configurer(this.state.confState).configure;
    // Whole log: entries that were applied before are to be passed over.
    for (const entry of this.log) runAtOnce(this.state.apply(entry, this.configure));
  }

  put(key: string, value = "", more: Partial<PutRequest> = {}): PutResponse {
    const value_ = PutRequest.create({ ...more, key: bytes(key), value: bytes(value) });
    return PutResponse.decode(responseOf(this.apply({ $case: "put", value: value_ })));
  }

  delete(key: string, rangeEnd = "", prevKv = false): DeleteRangeResponse {
    const value = DeleteRangeRequest.create({ key: bytes(key), rangeEnd: bytes(rangeEnd), prevKv });
    return DeleteRangeResponse.decode(responseOf(this.apply({ $case: "deleteRange", value })));
  }

  txn(request: Parameters<typeof TxnRequest.create>[0]): TxnResponse {
    return TxnResponse.decode(responseOf(this.apply({ $case: "txn", value: TxnRequest.create(request) })));
  }

  compact(revision: number): ApplyOutcome {
    const value: CompactionRequest = { revision, physical: false };
    return this.apply({ $case: "compaction", value });
  }

  grant(id: bigint, ttl = 60): ApplyOutcome {
    return this.apply({ $case: "leaseGrant", value: { ID: id, TTL: ttl } });
  }

  revoke(id: bigint): ApplyOutcome {
    return this.apply({ $case: "leaseRevoke", value: { ID: id } });
  }

  /** A range in the model's terms. */
  range(key: string, rangeEnd = "", more: Partial<RangeRequest> = {}): Ranged {
    const request = RangeRequest.create({ ...more, key: bytes(key), rangeEnd: bytes(rangeEnd) });
    const { kvs, more: isMore, count, revision } = runAtOnce(this.state.range(request));
    return { kvs: kvs.map(fromRecord), more: isMore, count, revision };
  }

  hash(revision = 0): ReturnType<typeof hashOf> {
    return hashOf(this.opened, revision);
  }

  #open(): OpenedStateMachine {
    const { quotaBytes = -1 } = this.#options;
    return openStateMachine({ backend: this.backend, quotaBytes, minLeaseTtlSeconds: 2 });
  }
}

export interface Ranged {
  readonly kvs: readonly ModelKv[];
  readonly more: boolean;
  readonly count: number;
  readonly revision: number;
}

export function hashOf({ state }: OpenedStateMachine, revision = 0) {
  return runAtOnce(state.hashKv(revision));
}

/** The response of a request that was done; fails the test for one that was refused. */
export function responseOf(outcome: ApplyOutcome): Uint8Array {
  if (outcome.kind === "refused") throw outcome.error;
  return outcome.response;
}

export function refusal(outcome: ApplyOutcome): string | undefined {
  return outcome.kind === "refused" ? outcome.error.code : undefined;
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
