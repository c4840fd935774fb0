/** Bytes that were in a file when the agent looked, and that nobody can ship any more. */
export interface LossRecord {
  readonly file: string;
  readonly path: string;
  readonly from: number;
  /** "unknown": the kernel shows a change, but no size was seen in between; perhaps nothing is lost. */
  readonly to: number | "unknown";
  readonly reason: LossReason;
  /** Milliseconds since the Unix epoch. */
  readonly noticedAtMs: number;
}

export type LossReason =
  | "truncated below what was read"
  | "shortened before it was read"
  | "rewritten in place"
  | "replaced while the agent was down"
  | "gone while nobody held it";

/** Bytes known to be lost. */
export function lostBytes(loss: LossRecord): number {
  return loss.to === "unknown" ? 0 : loss.to - loss.from;
}
