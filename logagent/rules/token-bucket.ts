/** What may be used up at once when nothing was used for long. */
const BURST_MS = 1000;
/** What must have come in before anything may be taken: who takes little at a time has much to do beside it. */
export const TURN_MS = 250;

/**
 * A rate limit that slows down instead of dropping. What was taken is told afterwards and may exceed what was there: then
 * nothing may be taken until the debt is paid. Times are monotonic milliseconds.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #turn: number;
  #tokens: number;
  #atMs: number | undefined;

  /** Starts full: with what a second allows. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#turn = Math.max(1, (perSecond * TURN_MS) / 1000);
    this.#tokens = this.#burst;
  }

  /** What may be taken now, at least a turn's worth; or 0, and when to ask again. */
  allowance(nowMs: number): { readonly tokens: number; readonly waitMs: number } {
    this.#refill(nowMs);
    if (this.#tokens >= this.#turn) return { tokens: Math.floor(this.#tokens), waitMs: 0 };
    return { tokens: 0, waitMs: Math.ceil(((this.#turn - this.#tokens) / this.#perSecond) * 1000) };
  }

  take(tokens: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens -= tokens;
  }

  get #burst(): number {
    return Math.max(1, (this.#perSecond * BURST_MS) / 1000);
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs));
    this.#atMs = Math.max(nowMs, this.#atMs ?? nowMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsedMs * this.#perSecond) / 1000);
  }
}
