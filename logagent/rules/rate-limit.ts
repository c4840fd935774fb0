import type { Entry } from "../../conf/collect-config.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What may be read now. */
export interface ReadAllowance {
  /** 0: nothing before `waitMs` have passed. */
  readonly bytes: number;
  readonly lines: number;
  readonly waitMs: number;
}

/** An entry's field `rateLimit`, over all its files. Times are monotonic milliseconds. */
export class RateLimit {
  readonly #bytes: TokenBucket | undefined;
  readonly #lines: TokenBucket | undefined;

  constructor({ bytesPerSecond, linesPerSecond }: NonNullable<Entry["rateLimit"]>) {
    this.#bytes = bytesPerSecond === undefined ? undefined : new TokenBucket(bytesPerSecond);
    this.#lines = linesPerSecond === undefined ? undefined : new TokenBucket(linesPerSecond);
  }

  allowance(nowMs: number): ReadAllowance {
    const bytes = this.#bytes?.allowance(nowMs) ?? UNLIMITED;
    const lines = this.#lines?.allowance(nowMs) ?? UNLIMITED;
    const waitMs = Math.max(bytes.waitMs, lines.waitMs);
    if (waitMs > 0) return { bytes: 0, lines: 0, waitMs };
    return { bytes: bytes.tokens, lines: lines.tokens, waitMs: 0 };
  }

  /** A line longer than what was allowed is taken whole; the next ones wait the longer. */
  taken(read: { readonly bytes: number; readonly lines: number }, nowMs: number): void {
    this.#bytes?.take(read.bytes, nowMs);
    this.#lines?.take(read.lines, nowMs);
  }
}

const UNLIMITED = { tokens: Number.POSITIVE_INFINITY, waitMs: 0 };
