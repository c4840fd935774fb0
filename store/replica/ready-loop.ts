import type { ApplyOutcome } from "../apply/types.ts";
import type { PeerHandler } from "../peer/transport.ts";
import { StoreError } from "../proto/errors.ts";
import type { ConfChange } from "../raft/conf-change.ts";
import { idText } from "../raft/id-text.ts";
import type { Message, SnapshotMessage } from "../raft/message.ts";
import type { ProgressView } from "../raft/progress.ts";
import type { RaftCore, RaftStatus, SoftState, Write } from "../raft/types.ts";
import { ApplyQueue } from "./apply-queue.ts";
import { CompactionSteps } from "./compaction-steps.ts";
import { Flusher } from "./flusher.ts";
import { Leadership } from "./leadership.ts";
import { LoopDelay } from "./loop-delay.ts";
import type { DrivenState, ReadyLoopOptions } from "./ready-loop-options.ts";
import type { ProposeOptions, Replica } from "./replica.ts";
import { createRequestIds } from "./request-id.ts";
import { Rounds } from "./rounds.ts";
import { Shutdown } from "./shutdown.ts";
import { SnapshotExchange } from "./snapshot-exchange.ts";
import { Ticker } from "./ticker.ts";
import { WaitingCalls } from "./waiting-calls.ts";
import { WalWriter } from "./wal-writer.ts";

/**
 * Drives the consensus core (etcd server/etcdserver/raft.go and server.go): proposals of an event-loop turn go into one
 * WAL write; while it is under way the next gathers; what is committed is applied in stretches, and then answered.
 */
export class ReadyLoop<State extends DrivenState>
  implements Omit<Replica, "state">, PeerHandler, AsyncDisposable
{
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly state: State;
  readonly nextRequestId: () => bigint;
  readonly loopDelay = new LoopDelay();

  readonly #options: ReadyLoopOptions<State>;
  readonly #core: RaftCore;
  readonly #writer: WalWriter;
  readonly #rounds: Rounds;
  readonly #ticker: Ticker;
  readonly #flusher: Flusher;
  readonly #snapshots: SnapshotExchange;
  readonly #leadership: Leadership;
  readonly #calls: WaitingCalls;
  readonly #toApply: ApplyQueue;
  readonly #compaction: CompactionSteps;
  readonly #shutdown: Shutdown;
  #turnIsDue = false;
  #membersChanged = false;

  constructor(options: ReadyLoopOptions<State>) {
    const { core, wal, state, limits, clock, identity } = options;
    this.#options = options;
    this.clusterId = identity.clusterId;
    this.memberId = identity.memberId;
    this.state = state;
    this.nextRequestId = createRequestIds(identity.memberId, clock);
    this.#core = core;
    this.#leadership = new Leadership(options);
    this.#calls = new WaitingCalls({
      core,
      clock,
      limits,
      leadership: this.#leadership,
      nextContext: this.nextRequestId,
      isReachable: (leader) => leader === this.memberId || options.transport.isActive(leader),
      isFlushBehind: () => this.#flusher.isBehind,
      onCall: () => this.#schedule(),
    });
    this.#toApply = new ApplyQueue({
      state,
      clock,
      applyMs: limits.applyMs,
      configure: (change) => {
        this.#membersChanged = true;
        return core.applyConfChange(change);
      },
      onApplied: (applied) => this.#calls.settle(applied),
    });
    this.#compaction = new CompactionSteps(() => state.compactStep());
    const onError = (error: unknown) => this.#shutdown.fail(error);
    this.#flusher = new Flusher({ state, core, wal, limits, onError });
    this.#writer = new WalWriter({
      wal,
      batchBytes: limits.writeBytes,
      mayInstall: () => this.#toApply.isEmpty,
      install: async (snapshot, hardState) => {
        const install = () => this.#snapshots.install(snapshot, hardState);
        await this.#compaction.holding(() => this.#flusher.holding(install));
        options.onMembers();
      },
      onPersisted: (writes) => this.#turn(writes),
      onError,
    });
    this.#snapshots = new SnapshotExchange({
      store: options.snapshots,
      wal,
      transport: options.transport,
      clock: options.clock,
      logger: options.logger,
      onSent: (to, outcome) => {
        core.reportSnapshot(to, outcome);
        this.#schedule();
      },
    });
    this.#rounds = new Rounds({
      core,
      writer: this.#writer,
      transport: options.transport,
      onSnapshotToSend: (message) => this.#snapshots.send(message),
      onCommitted: (entries) => this.#toApply.add(entries),
      onReadState: (state) => this.#calls.readAnswered(state),
      onSoftState: (state) => this.#noteSoftState(state),
    });
    this.#ticker = new Ticker({
      ...options,
      ...limits,
      loopDelay: this.loopDelay,
      onTick: (nowMs) => this.#tick(nowMs),
      onError,
    });
    this.#shutdown = new Shutdown(
      {
        calls: this.#calls,
        toApply: this.#toApply,
        compaction: this.#compaction,
        leadership: this.#leadership,
        ticker: this.#ticker,
        snapshots: this.#snapshots,
        flusher: this.#flusher,
        writer: this.#writer,
        wal,
      },
      options,
    );
  }

  get status(): RaftStatus {
    return this.#core.status;
  }

  progress(): ReadonlyMap<bigint, ProgressView> {
    return this.#core.progress();
  }

  /** Why the replica has failed; undefined while it has not. */
  get failure(): unknown {
    return this.#shutdown.failure;
  }

  onLeadership(listener: (state: SoftState) => void): () => void {
    return this.#leadership.on(listener);
  }

  propose(requestId: bigint, data: Uint8Array, options: ProposeOptions): Promise<ApplyOutcome> {
    return this.#calls.propose(requestId, data, options);
  }

  proposeConfChange(
    requestId: bigint,
    change: ConfChange,
    options: { readonly signal: AbortSignal },
  ): Promise<ApplyOutcome> {
    return this.#calls.proposeConfChange(requestId, change, options);
  }

  readIndex(options: { readonly signal: AbortSignal }): Promise<void> {
    return this.#calls.readIndex(options);
  }

  compacted(options: { readonly signal: AbortSignal }): Promise<void> {
    if (!this.#shutdown.isRunning) return Promise.reject(new StoreError("Stopped"));
    return this.#compaction.done(options);
  }

  transferLeader(to: bigint, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#core.transferLeader(to);
    this.#schedule();
    return this.#leadership.reached(to, { signal });
  }

  receive(message: Message): void {
    if (this.#shutdown.isOver) return;
    this.#core.step(message);
    this.#schedule();
  }

  async receiveSnapshot(message: SnapshotMessage, body: AsyncIterable<Uint8Array>): Promise<void> {
    const { snapshot } = message;
    await this.#snapshots.receive(snapshot, body);
    this.receive(message);
    // Its sender leads no longer: nothing will install it.
    if (this.#core.status.commit < snapshot.index) await this.#snapshots.forget(snapshot);
  }

  unreachable(id: bigint): void {
    this.#core.reportUnreachable(id);
    this.#schedule();
  }

  /**
   * Accepts nothing more (Stopped), hands leadership over, lets what was accepted finish, flushes the state and closes the
   * WAL; the state's backend stays its owner's. Idempotent.
   */
  close(): Promise<void> {
    if (this.#shutdown.isRunning) this.#schedule();
    return this.#shutdown.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A turn after the event loop has taken in what is there, so that one write carries all of it. */
  #schedule(): void {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    this.#options.later(() => {
      this.#turnIsDue = false;
      this.#turn();
    });
  }

  #turn(persisted: readonly Write[] = []): void {
    if (this.#shutdown.isOver) return;
    try {
      this.#calls.give();
      this.#rounds.run(persisted);
      this.#calls.appliedTo(this.#core.status.applied);
      // The disk works while this thread applies.
      this.#apply();
      this.#compact();
      this.#flusher.flushIfDue(this.#options.clock.monotonicMs());
      const isIdle = this.#writer.isIdle && this.#calls.isEmpty && this.#toApply.isEmpty;
      if (isIdle) this.#shutdown.idle();
    } catch (error) {
      this.#shutdown.fail(error);
    }
  }

  /** Applies for {@link ReplicaLimits.applyMs} at most; the rest waits for the next turn. */
  #apply(): void {
    if (this.#toApply.isEmpty) return;
    const startMs = this.#options.clock.monotonicMs();
    const bytes = this.#toApply.applySome();
    this.#core.applied(this.state.appliedIndex);
    this.#calls.appliedTo(this.state.appliedIndex);
    this.#flusher.changed(bytes, startMs);
    this.#compaction.applied();
    this.#schedule();
    if (this.#membersChanged) this.#noteMembers();
  }

  #noteMembers(): void {
    this.#membersChanged = false;
    this.#leadership.membersChanged();
    this.#options.onMembers();
  }

  #compact(): void {
    if (!this.#compaction.isDue) return;
    this.#flusher.changed(0, this.#options.clock.monotonicMs());
    if (this.#compaction.step()) this.#schedule();
  }

  #tick(nowMs: number): void {
    this.#core.tick();
    this.#leadership.tick();
    this.#calls.tick(nowMs);
    this.#schedule();
  }

  #noteSoftState(softState: SoftState): void {
    const { role, term, leader } = softState;
    this.#leadership.changed(softState);
    this.#calls.leaderChanged();
    this.#options.logger.info({ role, term, leader: idText(leader) }, "raft role changed");
    this.#schedule();
  }
}
