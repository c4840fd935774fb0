import { Slice } from "../../base/slice.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { isCompressedBeside } from "./compressed-file.ts";
import { wasSeen } from "./record-of-file.ts";
import type { SourceContext } from "./source-context.ts";

/** Of one entry: with more of them, those that were deleted first are forgotten. */
const FINISHED_KEPT_MAX = 1_000;

/**
 * Files that were shipped and are deleted. The record of one is kept until the one that came after it was seen at their path, and,
 * where nothing has come yet, as long as a program may have made something of it: else that would be taken for a file that nobody saw.
 */
export class FinishedFiles {
  readonly #context: SourceContext;
  /** With whether it may have been compressed; undefined: nobody has looked yet. The one that was deleted first comes first. */
  readonly #records = new Map<CheckpointRecord, boolean | undefined>();

  constructor(context: SourceContext) {
    this.#context = context;
  }

  add(record: CheckpointRecord): void {
    record.isResting = true;
    // Without births nothing is taken for such a file, and another one may have its number by now.
    if (record.birthtimeNs === 0n) this.#context.deps.checkpoints.remove(record);
    else this.#records.set(record, undefined);
  }

  /**
   * Removes those that are needed no more. A successor counts when it was seen at their path at `atMs`, wall clock, or later. Rejects
   * with the signal's reason.
   */
  async forgetSucceeded(atMs: number, options: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#records.size === 0) return;
    const { entry, deps } = this.#context;
    const { checkpoints, clock } = deps;
    // One that was only found where it went says of its path no more than that somebody was there.
    const others = [...checkpoints.recordsOf(entry.path)].filter(
      (record) => !this.#records.has(record) && wasSeen(record),
    );
    const left = Map.groupBy(others, ({ path }) => path);
    const slice = new Slice(clock);
    for (const record of this.#records.keys()) {
      const ofLane = left.get(record.path);
      const isSucceeded = ofLane?.some(
        ({ birthtimeNs, seenAtMs }) => birthtimeNs > record.birthtimeNs && seenAtMs >= atMs,
      );
      const isNeeded = isSucceeded === undefined ? await this.#mayBeCompressed(record) : !isSucceeded;
      if (slice.isOver) await slice.giveTurn(options);
      if (isNeeded && record.entry === entry.path && this.#records.size <= FINISHED_KEPT_MAX) continue;
      this.#records.delete(record);
      // The entry that it has passed to needs it until something comes after it.
      if (record.entry === entry.path) checkpoints.remove(record);
    }
  }

  async #mayBeCompressed(record: CheckpointRecord): Promise<boolean> {
    const known = this.#records.get(record);
    const isBeside = known ?? (await isCompressedBeside(record, this.#context.deps.scans.folders));
    this.#records.set(record, isBeside);
    return isBeside;
  }
}
