import { invariant } from "../../base/invariant.ts";
import type { ApplyOutcome } from "../apply/types.ts";
import { StoreError } from "../proto/errors.ts";
import type { ProposeOutcome } from "../raft/types.ts";
import { PendingCall } from "./pending-call.ts";

/** "notLeader": this member does not lead as the proposal asks for. */
type SendOutcome = ProposeOutcome | "notLeader";

interface Waiting {
  readonly call: PendingCall<ApplyOutcome>;
  readonly sinceMs: number;
  /** Gives it to the core; undefined once the core, or a leader, may have it: from then on it is never sent again. */
  send: (() => SendOutcome) | undefined;
}

/** The callers of propose, by request id, until their entry is applied. */
export class WaitingProposals {
  /** In the order of adding, which is that of deadlines. */
  readonly #calls = new Map<bigint, Waiting>();
  #unsent = 0;

  get size(): number {
    return this.#calls.size;
  }

  /**
   * Sends a proposal, now or, while there is no leader to take it, by {@link sendAgain}. `send` is called until it says
   * anything but "noLeader" or "transferring", in the order of adding.
   */
  add(
    requestId: bigint,
    options: {
      readonly send: () => SendOutcome;
      readonly nowMs: number;
      readonly deadlineMs: number;
      readonly signal: AbortSignal;
    },
  ): Promise<ApplyOutcome> {
    invariant(!this.#calls.has(requestId), `request id ${requestId} is used once`);
    const call = new PendingCall<ApplyOutcome>({ ...options, onAbort: () => this.#forget(requestId) });
    const waiting = { call, sinceMs: options.nowMs, send: options.send };
    this.#calls.set(requestId, waiting);
    this.#unsent += 1;
    if (this.#unsent === 1) this.#send(requestId, waiting);
    return call.promise;
  }

  /** There may be a leader now. */
  sendAgain(): void {
    if (this.#unsent === 0) return;
    for (const [requestId, waiting] of this.#calls) {
      if (waiting.send !== undefined && !this.#send(requestId, waiting)) return;
    }
  }

  /** Gives a caller its outcome; nobody waits for an entry of an earlier run, or for one whose caller gave up. */
  settle(requestId: bigint, outcome: ApplyOutcome): void {
    this.#forget(requestId)?.resolve(outcome);
  }

  /** Rejects what has waited until `nowMs`, with the error for its time of coming. Its entry may still be applied. */
  expire(nowMs: number, errorFor: (sinceMs: number) => StoreError): void {
    for (const [requestId, { call, sinceMs }] of this.#calls) {
      if (call.deadlineMs > nowMs) return;
      this.#forget(requestId)?.reject(errorFor(sinceMs));
    }
  }

  /** Rejects what has not been sent: nothing will come of it. */
  rejectUnsent(error: StoreError): void {
    for (const [requestId, { send }] of this.#calls) {
      if (send !== undefined) this.#forget(requestId)?.reject(error);
    }
  }

  rejectAll(error: StoreError): void {
    for (const requestId of [...this.#calls.keys()]) this.#forget(requestId)?.reject(error);
  }

  /** False when it stays unsent. */
  #send(requestId: bigint, waiting: Waiting): boolean {
    const outcome = waiting.send?.();
    if (outcome === "noLeader" || outcome === "transferring") return false;
    waiting.send = undefined;
    this.#unsent -= 1;
    if (outcome === "tooManyUncommitted") this.#forget(requestId)?.reject(new StoreError("TooManyRequests"));
    else if (outcome === "notLeader") this.#forget(requestId)?.reject(new StoreError("NotLeader"));
    else if (outcome === "removed") this.#forget(requestId)?.reject(new StoreError("Stopped"));
    return true;
  }

  #forget(requestId: bigint): PendingCall<ApplyOutcome> | undefined {
    const waiting = this.#calls.get(requestId);
    if (waiting?.send !== undefined) this.#unsent -= 1;
    this.#calls.delete(requestId);
    return waiting?.call;
  }
}
