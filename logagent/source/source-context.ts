import type { Logger } from "../../base/log.ts";
import type { Entry } from "../../conf/collect-config.ts";
import { type Loss, type LossReason, lossesOfRest, lostBytes } from "../checkpoint/loss.ts";
import type { BytesHash, CheckpointRecord } from "../checkpoint/record.ts";
import { LinePipeline, type PipelineOutput } from "../rules/line-pipeline.ts";
import { RateLimit } from "../rules/rate-limit.ts";
import { FileTurns } from "./file-turns.ts";
import type { OpenLimits } from "./open-file.ts";
import { Problems } from "./problems.ts";
import { RefusedLines } from "./refused-lines.ts";
import { StuckTopic } from "./stuck-topic.ts";
import type { TailedFile } from "./tailed-file.ts";
import { newTotals, type TailTotals } from "./totals.ts";
import type { TailDeps } from "./types.ts";
import { Unsettled } from "./unsettled.ts";

/** What the parts of one task share. */
export class SourceContext {
  readonly entry: Entry;
  readonly deps: TailDeps;
  readonly logger: Logger;
  readonly totals: TailTotals = newTotals();
  readonly problems: Problems;
  /** From bytes to records. */
  readonly pipeline: LinePipeline;
  /** Who waits while not all files can be open. */
  readonly turns: FileTurns;
  readonly unsettled: Unsettled;
  readonly stuckTopic: StuckTopic;
  readonly refusedLines: RefusedLines;
  /** Of all files of the entry together. */
  readonly rateLimit: RateLimit | undefined;

  constructor(entry: Entry, deps: TailDeps) {
    this.entry = entry;
    this.deps = deps;
    this.logger = deps.logger.child({ entry: entry.path, topic: entry.topic });
    this.problems = new Problems(this.logger);
    this.pipeline = new LinePipeline(entry);
    this.turns = new FileTurns(deps.openFiles);
    this.unsettled = new Unsettled(this);
    this.stuckTopic = new StuckTopic(this);
    this.refusedLines = new RefusedLines(this);
    this.rateLimit = entry.rateLimit === undefined ? undefined : new RateLimit(entry.rateLimit);
  }

  /** When the files of the task are closed: nobody waits any more, nor is waited for. */
  close(): void {
    this.unsettled.close();
    this.turns.forgetAll();
  }

  /** What may be opened. */
  get openLimits(): OpenLimits {
    const { allow, scans } = this.deps;
    return { allow, mounts: scans.mounts };
  }

  /** What the rules did with the lines from `offset` on. */
  ruled(file: TailedFile, offset: number, output: PipelineOutput): void {
    const { cuts, truncatedLines, truncatedBytes, droppedRecords } = output;
    this.totals.linesDropped += droppedRecords;
    this.totals.linesTruncated += truncatedLines;
    this.totals.bytesTruncated += truncatedBytes;
    this.totals.linesCut += cuts;
    const { account } = file.record;
    account.linesDropped += droppedRecords;
    account.bytesTruncated += truncatedBytes;
    if (cuts + truncatedLines > 0) this.#warnLongLine(file, offset, cuts > 0 ? "cut" : "truncated");
  }

  /** The rest of a content can be read no more: what was seen of it from `from` on, and whatever nobody has seen. */
  lostRest(record: CheckpointRecord, from: number, reason: LossReason): void {
    for (const loss of lossesOfRest(record, from, reason)) this.#lost(record, loss);
  }

  /** What was to be delivered of a content when the rest of it was said to be lost, and was not from `from` on. */
  lostUndelivered(record: CheckpointRecord, from: number, reason: LossReason): void {
    const { seen: to } = record;
    if (to > from) this.#lost(record, { from, to, reason });
  }

  /**
   * A file that still holds what was read has become shorter than it was seen to be. What is behind that may
   * have been cut off further down, and written since.
   */
  shortened(
    record: CheckpointRecord,
    size: number,
    read: { readonly offset: number; readonly tail: BytesHash },
  ): void {
    const { seen } = record;
    const reason = "shortened before it was read";
    this.#lost(record, { from: size, to: seen, reason });
    this.#lost(record, { from: read.offset, to: "unknown", reason });
    this.deps.checkpoints.cutBack(record, size, read);
  }

  #lost(about: CheckpointRecord, loss: Loss): void {
    const record = this.deps.checkpoints.lost(about, loss);
    this.totals.bytesLost += lostBytes(record);
    if (record.to === "unknown") this.totals.lossesUnknown += 1;
    if (record.to !== "unknown") this.logger.error({ loss: record }, "bytes are lost");
    else this.logger.warn({ loss: record }, "file changed between two looks; bytes may be lost");
  }

  #warnLongLine(file: TailedFile, offset: number, done: "cut" | "truncated"): void {
    if (file.cutWarned) return;
    file.cutWarned = true;
    const { maxLineBytes, multiline } = this.entry;
    const limits = { maxLineBytes, maxBytes: multiline?.maxBytes, maxLines: multiline?.maxLines };
    const where = { path: file.record.path, offset, ...limits };
    if (done === "truncated") {
      this.logger.warn(where, "line is longer than maxLineBytes and is truncated (said once a file)");
    } else if (multiline === undefined) {
      this.logger.warn(where, "line is longer than maxLineBytes and is cut into parts (said once a file)");
    } else {
      this.logger.warn(where, "record is longer than its limits and is cut into parts (said once a file)");
    }
  }
}
