import type { Clock } from "../../base/clock.ts";
import type { PeerTransport } from "../peer/transport.ts";
import { StoreError } from "../proto/errors.ts";
import { NONE, type RaftCore, type SoftState } from "../raft/types.ts";
import { ConnectionTimes } from "./connection-times.ts";
import type { ReplicaLimits } from "./replica-limits.ts";

/** Who leads, as far as calls wait for it: transfers, and what a timeout is put down to. */
export class Leadership {
  readonly #core: RaftCore;
  readonly #clock: Clock;
  readonly #limits: Pick<ReplicaLimits, "tickMs" | "electionTicks">;
  #leader = NONE;
  /** When this member last saw a leader take over. */
  #electedMs = Number.NEGATIVE_INFINITY;
  readonly #listeners = new Set<(state: SoftState) => void>();
  readonly #connections: ConnectionTimes;

  constructor(options: {
    readonly core: RaftCore;
    readonly transport: Pick<PeerTransport, "isActive">;
    readonly clock: Clock;
    readonly limits: Pick<ReplicaLimits, "tickMs" | "electionTicks">;
  }) {
    this.#core = options.core;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#connections = new ConnectionTimes((id) => options.transport.isActive(id));
  }

  changed(state: SoftState): void {
    const { leader } = state;
    if (leader !== NONE && leader !== this.#leader) this.#electedMs = this.#clock.monotonicMs();
    this.#leader = leader;
    for (const listener of [...this.#listeners]) listener(state);
  }

  /** See {@link Replica.onLeadership}. */
  on(listener: (state: SoftState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Nobody else can lead a cluster of one: to wait for the next tick would only delay its start. */
  membersChanged(): void {
    const { voters, votersOutgoing } = this.#core.confState;
    if (voters.length === 1 && votersOutgoing.length === 0) this.#core.campaign();
  }

  /**
   * What a call that has waited in vain is told: a change of leaders takes with it what the old one had, and a lost connection
   * what was on it (etcd server.go parseProposeCtxErr).
   */
  timeoutSince(sinceMs: number): StoreError {
    const lostMs = this.#electedMs - 2 * this.#electionMs;
    if (sinceMs > lostMs && sinceMs < this.#electedMs) return new StoreError("TimeoutLeaderFail");
    return new StoreError(this.#isConnectedSince(sinceMs) ? "Timeout" : "TimeoutConnectionLost");
  }

  /** With the leader; a leader with a quorum. */
  #isConnectedSince(sinceMs: number): boolean {
    const { id, leader } = this.#core.status;
    if (leader === NONE) return true;
    if (leader !== id) return this.#connections.isConnectedSince(leader, sinceMs);
    const { voters } = this.#core.confState;
    const connected = voters.filter(
      (voter) => voter === id || this.#connections.isConnectedSince(voter, sinceMs),
    );
    return connected.length > voters.length / 2;
  }

  /** Resolves when `to` leads; rejects with StoreError TimeoutLeaderTransfer after an election timeout, as the core gives up then. */
  async reached(to: bigint, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + this.#electionMs;
    while (this.#core.status.leader !== to) {
      if (this.#clock.monotonicMs() >= deadlineMs) throw new StoreError("TimeoutLeaderTransfer");
      await this.#clock.sleep(this.#limits.tickMs, { signal });
    }
  }

  /** A leader that is no voter any more leads only until somebody else can. */
  tick(): void {
    const { role, id, transferee } = this.#core.status;
    const others = this.#core.confState.voters.filter((voter) => voter !== id);
    this.#connections.tick(others, this.#clock.monotonicMs());
    if (role !== "leader" || transferee !== NONE || this.#core.confState.voters.includes(id)) return;
    const successor = this.#successor();
    if (successor !== undefined) this.#core.transferLeader(successor);
  }

  /** A leader that leaves lets another one lead, so that nobody waits out an election timeout. Never throws. */
  async handOver(): Promise<void> {
    const successor = this.#core.status.role === "leader" ? this.#successor() : undefined;
    if (successor === undefined) return;
    this.#core.transferLeader(successor);
    // It may be slow, or gone: then the others elect by themselves.
    await this.reached(successor, { signal: new AbortController().signal }).catch(() => undefined);
  }

  /** Of the voters that are heard of, the one with the longest log. */
  #successor(): bigint | undefined {
    const { id } = this.#core.status;
    const others = [...this.#core.progress()].filter(
      ([member, progress]) => member !== id && !progress.isLearner && progress.recentActive,
    );
    return others.sort(([, a], [, b]) => b.match - a.match)[0]?.[0];
  }

  get #electionMs(): number {
    return this.#limits.electionTicks * this.#limits.tickMs;
  }
}
