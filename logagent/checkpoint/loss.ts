import type { CheckpointRecord } from "./record.ts";

/** Bytes that were in a file when the agent looked, and that nobody can ship any more. */
export interface LossRecord {
  readonly file: string;
  readonly path: string;
  /** Path of the entry that shipped it last, and its topic. */
  readonly entry: string;
  readonly topic: string;
  readonly from: number;
  /** "unknown": the kernel shows a change, but no size was seen in between; perhaps nothing is lost. */
  readonly to: number | "unknown";
  readonly reason: LossReason;
  /** Milliseconds since the Unix epoch. */
  readonly noticedAtMs: number;
}

/** What is to be said of a record's file; a range that is known ends at what was seen of it. */
export type Loss = Pick<LossRecord, "from" | "to" | "reason">;

export type LossReason =
  | "truncated below what was read"
  | "shortened before it was read"
  | "rewritten in place"
  | "replaced while the agent was down"
  | "gone while nobody held it"
  | "deleted, and held for longer than there was room"
  | "deleted, and left by its entry"
  | "compressed, and damaged";

/** Bytes known to be lost. */
export function lostBytes(loss: Pick<LossRecord, "from" | "to">): number {
  return loss.to === "unknown" ? 0 : loss.to - loss.from;
}

/** The rest of a content can be read no more: what was seen of it from `from` on, and whatever nobody has seen. */
export function lossesOfRest({ seen }: CheckpointRecord, from: number, reason: LossReason): readonly Loss[] {
  const unseen: Loss = { from: Math.max(from, seen), to: "unknown", reason };
  return seen > from ? [{ from, to: seen, reason }, unseen] : [unseen];
}
