import { CodedError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import type { RunSteps } from "../../base/steps.ts";
import { isFormerFormat, writeFormatVersion } from "../backend/format.ts";
import { readLogId, writeLogId } from "../backend/log-id.ts";
import type { Backend } from "../backend/port.ts";
import { ReplicatedLessor } from "../lease/replicated-lessor.ts";
import { MemberTable } from "../membership/member-table.ts";
import type { Member } from "../membership/types.ts";
import { MvccStore } from "../mvcc/mvcc-store.ts";
import { EMPTY_BYTES } from "../proto/binary-reader.ts";
import { StoreError } from "../proto/errors.ts";
import { InternalRaftRequest } from "../proto/gen/internal.ts";
import { AlarmType, type RangeRequest, type TxnRequest } from "../proto/gen/rpc.ts";
import { decodeConfChange } from "../raft/conf-change.ts";
import type { ConfState, Entry } from "../raft/types.ts";
import { MvccWatchHub } from "../watch/mvcc-watch-hub.ts";
import { AlarmStore } from "./alarm-store.ts";
import { AppliedIndex } from "./applied-index.ts";
import { hashBuckets } from "./backend-hash.ts";
import { EntryBoundary } from "./entry-boundary.ts";
import { MemberChangeApplier } from "./member-change-applier.ts";
import { DEFAULT_QUOTA_BYTES, requestCostBytes } from "./quota.ts";
import { applyRequest, type StateParts } from "./request-applier.ts";
import { StateFlusher } from "./state-flusher.ts";
import { checkPlan, planTxn, readPlan } from "./transaction.ts";
import type {
  Applied,
  ApplyOutcome,
  Configure,
  EncodedRange,
  KvHash,
  OpenedStateMachine,
  RaftRequest,
  StateMachine,
  StateMachineOptions,
} from "./types.ts";

/**
 * Opens the state that a backend holds: reads leases and alarms and rebuilds the index, which takes some two seconds per
 * million records and holds the event loop: before serving. Throws CodedError when the backend's content is not understood.
 */
export function openStateMachine(options: StateMachineOptions): OpenedStateMachine {
  const { backend } = options;
  const lessor = new ReplicatedLessor(backend, { minTtlSeconds: options.minLeaseTtlSeconds });
  const store = new MvccStore(backend, lessor);
  const hub = new MvccWatchHub(store);
  const parts = {
    store,
    lessor,
    hub,
    alarms: new AlarmStore(backend),
    members: new MemberTable(backend),
  };
  return { state: new MvccStateMachine(options, parts), watchHub: hub, lessor };
}

/** A request that nobody waits for, or none at all. */
const NO_REQUEST_ID = 0n;

class MvccStateMachine implements StateMachine {
  readonly #backend: Backend;
  readonly #quotaBytes: number;
  #parts: StateParts;
  #applied: AppliedIndex;
  #configuration: MemberChangeApplier;
  /** Until the snapshot is the state; for ever, when that failed. */
  #installing: Promise<void> | undefined;
  readonly #boundary = new EntryBoundary();
  readonly #flusher: StateFlusher;

  constructor(options: StateMachineOptions, parts: StateParts) {
    this.#backend = options.backend;
    this.#quotaBytes = options.quotaBytes === 0 ? DEFAULT_QUOTA_BYTES : options.quotaBytes;
    this.#parts = parts;
    this.#applied = new AppliedIndex(options.backend);
    this.#configuration = new MemberChangeApplier(options.backend, parts.members);
    this.#flusher = new StateFlusher({
      backend: options.backend,
      boundary: this.#boundary,
      appliedIndex: () => this.appliedIndex,
    });
  }

  get appliedIndex(): number {
    return this.#applied.index;
  }

  get appliedTerm(): number {
    return this.#applied.term;
  }

  get flushedIndex(): number {
    return this.#flusher.flushedIndex;
  }

  get revision(): number {
    return this.#parts.store.revision;
  }

  get compactRevision(): number {
    return this.#parts.store.compactRevision;
  }

  get compactionHashes(): readonly KvHash[] {
    return this.#parts.store.compactionHashes.map(({ revision, ...hash }) => ({
      ...hash,
      hashRevision: revision,
    }));
  }

  get alarms(): StateMachine["alarms"] {
    return this.#parts.alarms.list(AlarmType.NONE);
  }

  get confState(): ConfState {
    return this.#configuration.confState;
  }

  get members(): readonly Member[] {
    return this.#parts.members.members;
  }

  get removedMembers(): ReadonlySet<bigint> {
    return this.#parts.members.removed;
  }

  *apply(entry: Entry, configure: Configure): Generator<undefined, Applied> {
    if (this.#installing !== undefined) invariant(false, "nothing is applied while a snapshot is installed");
    if (entry.index <= this.appliedIndex) return this.#done(NO_REQUEST_ID);
    if (entry.index !== this.appliedIndex + 1) {
      invariant(false, `entry ${entry.index} follows ${this.appliedIndex}, the last one applied`);
    }
    this.#boundary.enter();
    try {
      const applied = yield* this.#applyNext(entry, configure);
      this.#applied.advance(entry.index, entry.term);
      this.#boundary.leave();
      return applied;
    } finally {
      if (!this.#boundary.isBetweenEntries) this.#boundary.breakOff();
    }
  }

  adoptLoneMember(member: Member): void {
    if (!isFormerFormat(this.#backend)) return;
    this.#configuration.adopt(member);
    writeFormatVersion(this.#backend);
  }

  *range(request: RangeRequest): Generator<undefined, EncodedRange> {
    this.#refuseReads();
    const { revision } = this;
    return { revision, ...(yield* this.#parts.store.range(request, revision)) };
  }

  *readTxn(
    request: TxnRequest,
  ): Generator<undefined, { readonly revision: number; readonly response: Buffer }> {
    this.#refuseReads();
    const { revision } = this;
    return {
      revision,
      response: yield* this.#parts.store.keeping(revision, this.#readTxn(request, revision)),
    };
  }

  *#readTxn(request: TxnRequest, revision: number): Generator<undefined, Buffer> {
    const { store, lessor } = this.#parts;
    const plan = yield* planTxn(request, store, revision);
    checkPlan(plan, store, lessor);
    return yield* readPlan(plan, store, revision, undefined);
  }

  *hashKv(revision: number): Generator<undefined, KvHash> {
    this.#refuseWhileInstalling();
    const { compactRevision } = this;
    const { hash, revision: hashRevision } = yield* this.#parts.store.hash(revision);
    return { hash, compactRevision, hashRevision };
  }

  *hash(): Generator<undefined, number> {
    this.#refuseWhileInstalling();
    const { store } = this.#parts;
    const { hash } = yield* store.hash(0);
    return yield* store.keeping(store.revision, hashBuckets(this.#backend, hash));
  }

  compactStep(): boolean {
    return this.#installing === undefined && this.#parts.store.compactStep();
  }

  hasRoom(request: RaftRequest): boolean {
    const cost = requestCostBytes(request);
    if (cost === 0 || this.#quotaBytes < 0) return true;
    return this.#backend.size().inUseBytes + this.#backend.pendingBytes + cost < this.#quotaBytes;
  }

  size(): ReturnType<StateMachine["size"]> {
    return { ...this.#backend.size(), quotaBytes: Math.max(this.#quotaBytes, 0) };
  }

  flush(): Promise<void> {
    if (this.#installing !== undefined) return this.#installing.then(() => this.flush());
    return this.#flusher.flush();
  }

  install(path: string, run: RunSteps): Promise<void> {
    invariant(this.#installing === undefined, "one snapshot is installed at a time");
    invariant(this.#boundary.isBetweenEntries, "no snapshot takes the place of an entry's half");
    // Before the first wait: whatever reads is told now, and not when the file is half gone.
    this.#parts.store.endReads();
    this.#installing = this.#install(path, run);
    return this.#installing;
  }

  async #install(path: string, run: RunSteps): Promise<void> {
    const before = this.appliedIndex;
    const { store, hub, lessor } = this.#parts;
    await run(hub.suspend());
    await this.#flusher.settled();
    const logId = readLogId(this.#backend);
    await this.#backend.install(path);
    if (logId !== undefined) writeLogId(this.#backend, logId);
    await run(lessor.reload());
    await run(store.reload());
    this.#reloadSmallParts();
    invariant(
      this.appliedIndex > before,
      `the snapshot, up to entry ${this.appliedIndex}, is ahead of what was applied, ${before}`,
    );
    hub.resume();
    this.#installing = undefined;
  }

  /** What is read in no time. */
  #reloadSmallParts(): void {
    const backend = this.#backend;
    this.#parts = { ...this.#parts, alarms: new AlarmStore(backend), members: new MemberTable(backend) };
    this.#configuration = new MemberChangeApplier(backend, this.#parts.members);
    this.#applied = new AppliedIndex(backend);
    this.#flusher.replaced();
  }

  *#applyNext(entry: Entry, configure: Configure): Generator<undefined, Applied> {
    if (entry.kind === "confChange") return this.#applyConfChange(entry, configure);
    return entry.data.length > 0 ? yield* this.#applyData(entry) : this.#done(NO_REQUEST_ID);
  }

  #applyConfChange({ data }: Entry, configure: Configure): Applied {
    const { requestId, response, refusal } = this.#configuration.apply(decodeConfChange(data), configure);
    return refusal === undefined ? this.#done(requestId, response) : this.#refused(requestId, refusal);
  }

  *#applyData(entry: Entry): Generator<undefined, Applied> {
    const { header, request } = InternalRaftRequest.decode(entry.data);
    if (request === undefined) {
      throw new CodedError(
        "EUNKNOWNENTRY",
        `Cannot apply entry ${entry.index}: it carries no request that this version knows; a newer one wrote it`,
      );
    }
    const requestId = header?.ID ?? NO_REQUEST_ID;
    try {
      return this.#done(requestId, yield* applyRequest(request, this.#parts));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return this.#refused(requestId, error);
    }
  }

  #refused(requestId: bigint, error: StoreError): Applied {
    return { requestId, outcome: { kind: "refused", revision: this.revision, error } };
  }

  #done(requestId: bigint, response: Uint8Array = EMPTY_BYTES): Applied {
    const outcome: ApplyOutcome = { kind: "done", revision: this.revision, response };
    return { requestId, outcome };
  }

  #refuseReads(): void {
    this.#refuseWhileInstalling();
    this.#refuseIfCorrupt();
  }

  #refuseWhileInstalling(): void {
    if (this.#installing !== undefined) throw new StoreError("InstallingSnapshot");
  }

  #refuseIfCorrupt(): void {
    if (this.#parts.alarms.has(AlarmType.CORRUPT)) throw new StoreError("Corrupt");
  }
}
