import type { Logger } from "../../base/log.ts";
import type { Entry } from "../../conf/collect-config.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { type LossReason, type LossRecord, lostBytes } from "./loss.ts";
import { Problems } from "./problems.ts";
import type { TailedFile } from "./tailed-file.ts";
import { newTotals, type TailTotals } from "./totals.ts";
import type { TailDeps } from "./types.ts";

/** What the parts of one task share. */
export class SourceContext {
  readonly entry: Entry;
  readonly deps: TailDeps;
  readonly logger: Logger;
  readonly totals: TailTotals = newTotals();
  readonly problems: Problems;
  /** The topic took nothing for a while: read one file at a time, and little, until it takes something again. */
  isStuck = false;

  constructor(entry: Entry, deps: TailDeps) {
    this.entry = entry;
    this.deps = deps;
    this.logger = deps.logger.child({ entry: entry.path, topic: entry.topic });
    this.problems = new Problems(this.logger);
  }

  /** The rest of a content can be read no more: what was seen of it from `from` on, and whatever nobody has seen. */
  lostRest(record: CheckpointRecord, from: number, reason: LossReason): void {
    const { id: file, path, seen } = record;
    if (seen > from) this.lost({ file, path, from, to: seen, reason });
    this.lost({ file, path, from: Math.max(from, seen), to: "unknown", reason });
  }

  /**
   * A file that still holds what was read, up to `readTo`, has become shorter than it was seen to be. What is behind that may
   * have been cut off further down, and written since.
   */
  shortened(record: CheckpointRecord, size: number, readTo: number): void {
    const { id: file, path, seen } = record;
    const reason = "shortened before it was read";
    this.lost({ file, path, from: size, to: seen, reason });
    this.lost({ file, path, from: readTo, to: "unknown", reason });
    record.seen = size;
    this.deps.checkpoints.touch();
  }

  lost(loss: Omit<LossRecord, "noticedAtMs">): void {
    const record = { ...loss, noticedAtMs: this.deps.clock.wallMs() };
    this.totals.bytesLost += lostBytes(record);
    if (record.to === "unknown") this.totals.lossesUnknown += 1;
    if (record.to !== "unknown") this.logger.error({ loss: record }, "bytes are lost");
    else this.logger.warn({ loss: record }, "file changed between two looks; bytes may be lost");
  }

  /** Lines that the destination refused for good. */
  rejected(
    record: CheckpointRecord,
    rejected: { readonly from: number; readonly to: number; readonly lines: number; readonly reason: string },
  ): void {
    this.problems.set("rejected", `Topic ${this.entry.topic} refuses lines for good: ${rejected.reason}`);
    this.logger.error({ file: record.id, path: record.path, ...rejected }, "lines are refused for good");
  }

  lineCut(file: TailedFile, offset: number, parts: number): void {
    this.totals.linesCut += parts;
    if (file.cutWarned) return;
    file.cutWarned = true;
    this.logger.warn(
      { path: file.record.path, offset, maxLineBytes: this.entry.maxLineBytes },
      "line is longer than maxLineBytes and is cut into parts (said once a file)",
    );
  }
}
