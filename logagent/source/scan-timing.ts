/** Folders are read again for new names. */
export const SCAN_MS = 1_000;
/** A hint makes a scan earlier, but not sooner than this after the last. */
export const SCAN_MIN_MS = 100;
/** One that took long, among very many names, is followed by a rest of so many times that. */
const REST_FACTOR = 4;

/** When a task scans its folders again. All times are monotonic milliseconds. */
export class ScanTiming {
  nextMs = 0;
  #endedAtMs = 0;
  #restMs = 0;

  /** `isStale`: files changed places meanwhile. */
  scanned({
    beganAtMs,
    endedAtMs,
    isStale,
  }: {
    readonly beganAtMs: number;
    readonly endedAtMs: number;
    readonly isStale: boolean;
  }): void {
    this.#endedAtMs = endedAtMs;
    this.#restMs = (endedAtMs - beganAtMs) * REST_FACTOR;
    this.nextMs = endedAtMs + Math.max(isStale ? SCAN_MIN_MS : SCAN_MS, this.#restMs);
  }

  /** There is news. */
  hurry(): void {
    this.nextMs = Math.min(this.nextMs, this.#endedAtMs + Math.max(SCAN_MIN_MS, this.#restMs));
  }
}
