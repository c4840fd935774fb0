import { invariant } from "../../base/invariant.ts";
import type { ApplyOutcome } from "../apply/types.ts";
import { StoreError } from "../proto/errors.ts";
import { PendingCall } from "./pending-call.ts";

/** The callers of propose, by request id, until their entry is applied. */
export class WaitingProposals {
  /** In the order of adding, which is that of deadlines. */
  readonly #calls = new Map<bigint, PendingCall<ApplyOutcome>>();

  get size(): number {
    return this.#calls.size;
  }

  add(
    requestId: bigint,
    options: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<ApplyOutcome> {
    invariant(!this.#calls.has(requestId), `request id ${requestId} is used once`);
    const call = new PendingCall<ApplyOutcome>({ ...options, onAbort: () => this.#calls.delete(requestId) });
    this.#calls.set(requestId, call);
    return call.promise;
  }

  /** Gives a caller its outcome; nobody waits for an entry of an earlier run, or for one whose caller gave up. */
  settle(requestId: bigint, outcome: ApplyOutcome): void {
    const call = this.#calls.get(requestId);
    if (call === undefined) return;
    this.#calls.delete(requestId);
    call.resolve(outcome);
  }

  /** Rejects with Timeout what has waited until `nowMs`. Its entry may still be applied. */
  expire(nowMs: number): void {
    for (const [requestId, call] of this.#calls) {
      if (call.deadlineMs > nowMs) return;
      this.#calls.delete(requestId);
      call.reject(new StoreError("Timeout"));
    }
  }

  rejectAll(error: StoreError): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(error);
  }
}
