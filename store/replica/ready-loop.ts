import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { ApplyOutcome, StateMachine } from "../apply/types.ts";
import { StoreError } from "../proto/errors.ts";
import type { EntryId, RaftCore, RaftStatus, Ready } from "../raft/types.ts";
import type { Wal, WalIdentity } from "../wal/wal.ts";
import { ApplyQueue } from "./apply-queue.ts";
import { CompactionSteps } from "./compaction-steps.ts";
import { Flusher } from "./flusher.ts";
import { LoopDelay } from "./loop-delay.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaLimits } from "./replica-limits.ts";
import { createRequestIds } from "./request-id.ts";
import { WaitingProposals } from "./waiting-proposals.ts";
import { WaitingReads } from "./waiting-reads.ts";
import { WalWriter } from "./wal-writer.ts";

/** What the loop needs of a state machine. */
export type DrivenState = Pick<
  StateMachine,
  "appliedIndex" | "appliedTerm" | "flushedIndex" | "apply" | "compactStep" | "flush"
>;

export interface ReadyLoopOptions<State extends DrivenState> {
  readonly core: RaftCore;
  readonly wal: Pick<Wal, "append" | "cut" | "close">;
  readonly state: State;
  readonly identity: WalIdentity;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: ReplicaLimits;
  /** Called once, when nothing can be promised any more (a failed write or sync): the process must end. */
  readonly onFatal: (error: unknown) => void;
}

type Phase = "running" | "closing" | "closed" | "failed";

/**
 * Drives the consensus core (etcd server/etcdserver/raft.go and server.go): proposals of an event-loop turn go into one
 * WAL write; while it is under way the next gathers; what is committed is applied in stretches, and then answered.
 */
export class ReadyLoop<State extends DrivenState> implements Omit<Replica, "state">, AsyncDisposable {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly state: State;
  readonly nextRequestId: () => bigint;
  readonly loopDelay = new LoopDelay();

  readonly #core: RaftCore;
  readonly #wal: ReadyLoopOptions<State>["wal"];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #limits: ReplicaLimits;
  readonly #onFatal: (error: unknown) => void;
  readonly #writer: WalWriter;
  readonly #flusher: Flusher;
  readonly #proposals = new WaitingProposals();
  readonly #reads = new WaitingReads();
  readonly #toApply: ApplyQueue;
  readonly #compaction: CompactionSteps;

  #phase: Phase = "running";
  #failure: unknown;
  #turnIsDue = false;
  readonly #stopTicking = new AbortController();
  readonly #ticking: Promise<void>;
  readonly #drained = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;

  constructor(options: ReadyLoopOptions<State>) {
    const { core, wal, state, limits, clock, identity } = options;
    this.clusterId = identity.clusterId;
    this.memberId = identity.memberId;
    this.state = state;
    this.nextRequestId = createRequestIds(identity.memberId, clock);
    this.#core = core;
    this.#wal = wal;
    this.#clock = clock;
    this.#logger = options.logger;
    this.#limits = limits;
    this.#onFatal = options.onFatal;
    this.#toApply = new ApplyQueue({
      state,
      clock,
      applyMs: limits.applyMs,
      onApplied: ({ requestId, outcome }) => this.#proposals.settle(requestId, outcome),
    });
    this.#compaction = new CompactionSteps(() => state.compactStep());
    const onError = (error: unknown) => this.#fail(error);
    this.#flusher = new Flusher({ state, core, wal, limits, onError });
    this.#writer = new WalWriter({
      wal,
      batchBytes: limits.writeBytes,
      onPersisted: (writes) => this.#turn(writes),
      onError,
    });
    this.#ticking = this.#tick().catch(onError);
  }

  get status(): RaftStatus {
    return this.#core.status;
  }

  /** Why the replica has failed; undefined while it has not. */
  get failure(): unknown {
    return this.#failure;
  }

  propose(
    requestId: bigint,
    data: Uint8Array,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<ApplyOutcome> {
    if (this.#phase !== "running") return Promise.reject(new StoreError("Stopped"));
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#isOverloaded()) return Promise.reject(new StoreError("TooManyRequests"));
    const outcome = this.#core.propose(data);
    if (outcome !== "accepted") {
      return Promise.reject(new StoreError(outcome === "notLeader" ? "NoLeader" : "TooManyRequests"));
    }
    this.#schedule();
    return this.#proposals.add(requestId, { deadlineMs: this.#deadlineMs(), signal });
  }

  readIndex({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#phase !== "running") return Promise.reject(new StoreError("Stopped"));
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#reads.size >= this.#limits.waitingReads) {
      return Promise.reject(new StoreError("TooManyRequests"));
    }
    this.#schedule();
    return this.#reads.add({ deadlineMs: this.#deadlineMs(), signal });
  }

  compacted(options: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#phase !== "running") return Promise.reject(new StoreError("Stopped"));
    return this.#compaction.done(options);
  }

  /**
   * Accepts nothing more (Stopped), lets what was accepted finish, flushes the state and closes the WAL; the state's
   * backend stays its owner's. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #isOverloaded(): boolean {
    const { commit, applied } = this.#core.status;
    return (
      commit - applied > this.#limits.unappliedEntries ||
      this.#proposals.size >= this.#limits.waitingProposals ||
      this.#flusher.isBehind
    );
  }

  #deadlineMs(): number {
    return this.#clock.monotonicMs() + this.#limits.requestTimeoutMs;
  }

  /** A turn after the event loop has taken in what is there, so that one write carries all of it. */
  #schedule(): void {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    setImmediate(() => {
      this.#turnIsDue = false;
      this.#turn();
    });
  }

  #turn(writes: readonly EntryId[] = []): void {
    if (this.#phase === "failed" || this.#phase === "closed") return;
    try {
      for (const write of writes) this.#core.persisted(write);
      this.#takeReady();
      // The disk works while this thread applies.
      this.#writer.start();
      this.#apply();
      this.#compact();
      this.#flusher.flushIfDue(this.#clock.monotonicMs());
      if (this.#phase === "closing" && this.#isIdle()) this.#drained.resolve();
    } catch (error) {
      this.#fail(error);
    }
  }

  #takeReady(): void {
    this.#reads.ask((context) => this.#core.readIndex(context));
    for (let ready = this.#core.ready(); ready !== undefined; ready = this.#core.ready()) {
      if (ready.write !== undefined) this.#writer.add(ready, ready.write);
      if (ready.committed.length > 0) this.#toApply.add(ready.committed);
      for (const read of ready.readStates) this.#reads.answered(read);
      this.#noteSoftState(ready);
    }
    this.#reads.appliedTo(this.#core.status.applied);
  }

  #noteSoftState({ softState }: Ready): void {
    if (softState === undefined) return;
    if (softState.role !== "leader") this.#reads.askAgain();
    this.#logger.info(
      { role: softState.role, term: softState.term, leader: softState.leader.toString(16) },
      "raft role changed",
    );
    this.#schedule();
  }

  /** Applies for {@link ReplicaLimits.applyMs} at most; the rest waits for the next turn. */
  #apply(): void {
    if (this.#toApply.isEmpty) return;
    const startMs = this.#clock.monotonicMs();
    const bytes = this.#toApply.applySome();
    this.#core.applied(this.state.appliedIndex);
    this.#reads.appliedTo(this.state.appliedIndex);
    this.#flusher.changed(bytes, startMs);
    this.#compaction.applied();
    this.#schedule();
  }

  #compact(): void {
    if (!this.#compaction.isDue) return;
    this.#flusher.changed(0, this.#clock.monotonicMs());
    if (this.#compaction.step()) this.#schedule();
  }

  async #tick(): Promise<void> {
    const { signal } = this.#stopTicking;
    while (!signal.aborted) {
      this.#core.tick();
      this.#schedule();
      const dueMs = this.#clock.monotonicMs() + this.#limits.tickMs;
      try {
        await this.#clock.sleep(this.#limits.tickMs, { signal });
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      const nowMs = this.#clock.monotonicMs();
      this.loopDelay.observe(nowMs - dueMs);
      this.#proposals.expire(nowMs);
      this.#reads.expire(nowMs);
    }
  }

  #isIdle(): boolean {
    return (
      this.#writer.isIdle && this.#proposals.size === 0 && this.#reads.size === 0 && this.#toApply.isEmpty
    );
  }

  #fail(error: unknown): void {
    if (this.#phase === "failed" || this.#phase === "closed") return;
    this.#phase = "failed";
    this.#failure = error;
    const stopped = new StoreError("Stopped");
    this.#proposals.rejectAll(stopped);
    this.#reads.rejectAll(stopped);
    this.#compaction.rejectAll(stopped);
    this.#stopTicking.abort();
    this.#drained.resolve();
    this.#onFatal(error);
  }

  async #close(): Promise<void> {
    if (this.#phase === "running") {
      this.#phase = "closing";
      this.#schedule();
    }
    this.#compaction.rejectAll(new StoreError("Stopped"));
    await this.#drained.promise;
    this.#stopTicking.abort();
    await this.#ticking;
    try {
      if (this.#phase === "closing") await this.#flusher.flushAll();
    } finally {
      this.#phase = this.#phase === "failed" ? "failed" : "closed";
      await this.#writer.stop();
      await this.#flusher.settled();
      await this.#wal.close();
    }
  }
}
