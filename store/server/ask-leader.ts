import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import { untilAborted } from "../../base/until-aborted.ts";
import { findMember } from "../membership/types.ts";
import type { CallHandler } from "../peer/call-server.ts";
import type { PeerCall } from "../peer/peer-call.ts";
import { isStoreErrorCode, StoreError, type StoreErrorCode } from "../proto/errors.ts";
import { NONE } from "../raft/types.ts";
import type { Replica } from "../replica/replica.ts";
import type { CallMember } from "./call-member.ts";

/** Between two tries, unless the leader changes before. */
const RETRY_MS = 100;

/** What a leader that is one no longer, or is not yet, says: another may do it. */
const TRY_AGAIN: ReadonlySet<string> = new Set<StoreErrorCode>([
  "NotLeader",
  "NoLeader",
  "LeaderChanged",
  "Timeout",
  "TimeoutLeaderFail",
  "Stopped",
]);

/**
 * Asks whoever leads, this member too, what nobody else can answer, and resolves with the answer. Rejects with the leader's
 * StoreError, with the signal's reason, and when nobody could be asked in time with NoLeader, or Timeout when somebody leads.
 */
export type AskLeader = (call: PeerCall, options: { readonly signal: AbortSignal }) => Promise<Uint8Array>;

export interface AskLeaderOptions {
  readonly replica: Pick<Replica, "status" | "memberId" | "onLeadership"> & {
    readonly state: Pick<Replica["state"], "members">;
  };
  /** Answers while this member leads itself. */
  readonly answer: CallHandler;
  readonly callMember: CallMember;
  /** Over all tries. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** The one way to the leader beside the log; goes on while leaders change (etcd v3_server.go LeaseRenew, waitLeader). */
export function leaderAsker(options: AskLeaderOptions): AskLeader {
  const { replica, timeoutMs, clock } = options;
  return async (call, { signal }) => {
    const endsAtMs = clock.monotonicMs() + timeoutMs;
    for (let leftMs = timeoutMs; leftMs > 0; leftMs = endsAtMs - clock.monotonicMs()) {
      signal.throwIfAborted();
      const attempt = new Attempt(replica, signal);
      try {
        const answer = await tryOnce(options, call, { timeoutMs: leftMs, signal: attempt.signal });
        if (answer !== undefined) return answer;
        await clock.sleep(Math.min(RETRY_MS, leftMs), attempt);
      } catch (error) {
        if (!attempt.isOver) throw error;
      } finally {
        attempt.forget();
      }
    }
    throw new StoreError(replica.status.leader === NONE ? "NoLeader" : "Timeout");
  };
}

/** Undefined: to be tried again. */
async function tryOnce(
  { replica, answer, callMember }: AskLeaderOptions,
  call: PeerCall,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Uint8Array | undefined> {
  const { leader } = replica.status;
  if (leader === NONE) return undefined;
  try {
    if (leader === replica.memberId) return await untilAborted(answer(call, options), options);
    const member = findMember(replica.state.members, leader);
    return member && (await callMember(member, call, options));
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof CodedError)) throw error;
    if (isStoreErrorCode(error.code) && !TRY_AGAIN.has(error.code)) throw new StoreError(error.code);
    return undefined;
  }
}

/** A try lasts no longer than the leader that is asked: one that is paused would never answer. */
class Attempt {
  readonly #controller = new AbortController();
  readonly #forget: () => void;
  #isOver = false;

  constructor(replica: Pick<Replica, "onLeadership">, signal: AbortSignal) {
    const onAbort = () => this.#controller.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const unsubscribe = replica.onLeadership(() => {
      if (!this.signal.aborted) this.#isOver = true;
      this.#controller.abort(new StoreError("LeaderChanged"));
    });
    this.#forget = () => {
      signal.removeEventListener("abort", onAbort);
      unsubscribe();
    };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The leader has changed, and nothing else ended the try. */
  get isOver(): boolean {
    return this.#isOver;
  }

  forget(): void {
    this.#forget();
  }
}
