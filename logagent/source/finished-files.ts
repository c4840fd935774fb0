import type { CheckpointRecord } from "../checkpoint/record.ts";
import type { SourceContext } from "./source-context.ts";

/**
 * Files that were shipped and are deleted. The record of one is kept until the one that came after it was seen at their path: else
 * what a program has made of it would be taken for a file that nobody saw.
 */
export class FinishedFiles {
  readonly #context: SourceContext;
  readonly #records = new Set<CheckpointRecord>();

  constructor(context: SourceContext) {
    this.#context = context;
  }

  add(record: CheckpointRecord): void {
    record.isResting = true;
    // Without births nothing is taken for such a file, and another one may have its number by now.
    if (record.birthtimeNs === 0n) this.#context.deps.checkpoints.remove(record);
    else this.#records.add(record);
  }

  /** Removes those whose successor was seen at their path at `atMs`, wall clock, or later. */
  forgetSucceeded(atMs: number): void {
    if (this.#records.size === 0) return;
    const { entry, deps } = this.#context;
    const { checkpoints } = deps;
    const others = [...checkpoints.recordsOf(entry.path)].filter((record) => !this.#records.has(record));
    const left = Map.groupBy(others, ({ path }) => path);
    for (const record of this.#records) {
      // The entry that it has passed to needs it until something comes after it.
      if (record.entry !== entry.path) {
        this.#records.delete(record);
        continue;
      }
      const ofLane = left.get(record.path) ?? [];
      const isSucceeded = ofLane.some(
        ({ birthtimeNs, seenAtMs }) => birthtimeNs > record.birthtimeNs && seenAtMs >= atMs,
      );
      if (ofLane.length > 0 && !isSucceeded) continue;
      this.#records.delete(record);
      checkpoints.remove(record);
    }
  }
}
