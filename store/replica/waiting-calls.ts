import type { Clock } from "../../base/clock.ts";
import type { Applied, ApplyOutcome } from "../apply/types.ts";
import { StoreError } from "../proto/errors.ts";
import type { ConfChange } from "../raft/conf-change.ts";
import { NONE, type ProposeOutcome, type RaftCore, type ReadState } from "../raft/types.ts";
import type { Leadership } from "./leadership.ts";
import type { ProposeOptions } from "./replica.ts";
import type { ReplicaLimits } from "./replica-limits.ts";
import { WaitingProposals } from "./waiting-proposals.ts";
import { WaitingReads } from "./waiting-reads.ts";

export interface WaitingCallsOptions {
  readonly core: RaftCore;
  readonly clock: Clock;
  readonly limits: ReplicaLimits;
  readonly leadership: Pick<Leadership, "timeoutSince">;
  readonly nextContext: () => bigint;
  /** Messages to this leader would arrive, as far as is known. */
  readonly isReachable: (leader: bigint) => boolean;
  /** More is applied and not flushed than may be. */
  readonly isFlushBehind: () => boolean;
  /** There is something to do. */
  readonly onCall: () => void;
}

type Waits = { readonly signal: AbortSignal };

/** The calls that wait for the core: proposals for their outcome, reads for their index. All have deadlines and bounds. */
export class WaitingCalls {
  readonly #options: WaitingCallsOptions;
  readonly #proposals = new WaitingProposals();
  readonly #reads: WaitingReads;
  #isStopped = false;

  constructor(options: WaitingCallsOptions) {
    this.#options = options;
    this.#reads = new WaitingReads(options.nextContext);
  }

  get isEmpty(): boolean {
    return this.#proposals.size === 0 && this.#reads.size === 0;
  }

  propose(requestId: bigint, data: Uint8Array, options: ProposeOptions): Promise<ApplyOutcome> {
    return this.#propose(requestId, () => this.#options.core.propose(data), options);
  }

  proposeConfChange(requestId: bigint, change: ConfChange, options: Waits): Promise<ApplyOutcome> {
    return this.#propose(requestId, () => this.#options.core.proposeConfChange(change), options);
  }

  readIndex({ signal }: Waits): Promise<void> {
    const refusal = this.#refusal(signal, this.#reads.size >= this.#options.limits.waitingReads);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#options.onCall();
    return this.#reads.add({ deadlineMs: this.#deadlineMs(), signal });
  }

  /** Gives the core what it has not got yet. */
  give(): void {
    const { core, clock } = this.#options;
    this.#proposals.sendAgain();
    this.#reads.ask((context) => core.readIndex(context), clock.monotonicMs());
  }

  settle({ requestId, outcome }: Applied): void {
    this.#proposals.settle(requestId, outcome);
  }

  readAnswered(state: ReadState): void {
    this.#reads.answered(state);
  }

  appliedTo(index: number): void {
    this.#reads.appliedTo(index);
  }

  /** What a former leader was asked, nobody may answer. */
  leaderChanged(): void {
    this.#reads.askAgain();
    if (this.#isStopped) this.#endHopeless();
  }

  /** Ends what has waited too long, and asks again what may be lost. */
  tick(nowMs: number): void {
    const { leadership, limits } = this.#options;
    this.#proposals.expire(nowMs, (sinceMs) => leadership.timeoutSince(sinceMs));
    this.#reads.expire(nowMs);
    this.#reads.askAgain(nowMs - limits.readRetryMs);
  }

  /** Refuses new calls, and ends those of which nothing can come; the others are let finish. */
  stop(): void {
    this.#isStopped = true;
    this.#proposals.rejectUnsent(new StoreError("Stopped"));
    this.#endHopeless();
  }

  /** Ends all calls. */
  abort(): void {
    this.#isStopped = true;
    const stopped = new StoreError("Stopped");
    this.#proposals.rejectAll(stopped);
    this.#reads.rejectAll(stopped);
  }

  /** Who stops does not wait out deadlines where nobody leads: what was sent may still be applied, by others. */
  #endHopeless(): void {
    if (this.#options.core.status.leader === NONE) this.abort();
  }

  #propose(
    requestId: bigint,
    give: () => ProposeOutcome,
    { signal, leaderTerm }: ProposeOptions,
  ): Promise<ApplyOutcome> {
    const { limits, clock, core, isReachable, onCall } = this.#options;
    const isFull = this.#proposals.size >= limits.waitingProposals || this.#isOverloaded();
    const refusal = this.#refusal(signal, isFull);
    if (refusal !== undefined) return Promise.reject(refusal);
    onCall();
    return this.#proposals.add(requestId, {
      send: () => {
        const { role, term, leader } = core.status;
        if (leaderTerm !== undefined && (role !== "leader" || term !== leaderTerm)) return "notLeader";
        // What would be sent to a leader that is known to be away would be lost: it waits for the next one.
        return isReachable(leader) ? give() : "noLeader";
      },
      nowMs: clock.monotonicMs(),
      deadlineMs: this.#deadlineMs(),
      signal,
    });
  }

  #refusal(signal: AbortSignal, isFull: boolean): unknown {
    if (this.#isStopped) return new StoreError("Stopped");
    if (signal.aborted) return signal.reason;
    return isFull ? new StoreError("TooManyRequests") : undefined;
  }

  /** More proposals would only make the queue longer (etcd maxGapBetweenApplyAndCommitIndex). */
  #isOverloaded(): boolean {
    const { core, limits, isFlushBehind } = this.#options;
    const { commit, applied } = core.status;
    return commit - applied > limits.unappliedEntries || isFlushBehind();
  }

  #deadlineMs(): number {
    return this.#options.clock.monotonicMs() + this.#options.limits.requestTimeoutMs;
  }
}
