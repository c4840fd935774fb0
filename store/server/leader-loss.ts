import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { NONE, type SoftState } from "../raft/types.ts";
import type { Replica } from "../replica/replica.ts";

/** Election timeouts without a leader, after which it counts as lost (etcd v3rpc/interceptor.go maxNoLeaderCnt). */
const ELECTIONS = 3;

/** Tells when this member has had no leader for so long that who needs one should look elsewhere. */
export class LeaderLoss implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #unsubscribe: () => void;
  readonly #listeners = new Set<() => void>();
  /** Undefined while there is a leader. */
  #waiting: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly replica: Pick<Replica, "status" | "onLeadership">;
    readonly clock: Clock;
    readonly electionMs: number;
  }) {
    this.#clock = options.clock;
    this.#graceMs = ELECTIONS * options.electionMs;
    this.#unsubscribe = options.replica.onLeadership((state) => this.#see(state));
    this.#see(options.replica.status);
  }

  /** `listener` is told once, when the leader is lost. Gives what ends that. */
  onLost(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells nobody from now on. Idempotent. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#waiting?.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #see({ leader }: Pick<SoftState, "leader">): void {
    if (leader !== NONE) {
      this.#waiting?.abort();
      this.#waiting = undefined;
    } else if (this.#waiting === undefined) {
      this.#waiting = new AbortController();
      this.#running = this.#wait(this.#waiting.signal);
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    await sleepUnlessAborted(this.#clock, this.#graceMs, { signal });
    if (signal.aborted) return;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
