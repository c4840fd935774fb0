import type { CheckpointRecord } from "../checkpoint/record.ts";
import type { SourceContext } from "./source-context.ts";

/** While a destination refuses lines of an entry, the log says so this often, with their number. */
export const REFUSED_TELL_MS = 60_000;

/** Bytes of a file that the destination refused for good. */
export interface RefusedRange {
  readonly from: number;
  readonly to: number;
  readonly lines: number;
  readonly reason: string;
}

/** What is said of lines of an entry that the destination refuses for good; the dead letters have each of them. */
export class RefusedLines {
  readonly #context: SourceContext;
  /** Since the log told of some. */
  #lines = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: SourceContext) {
    this.#context = context;
  }

  /** Told at once, and those that follow within REFUSED_TELL_MS with the next one behind it. */
  add({ id, path }: Pick<CheckpointRecord, "id" | "path">, { from, to, lines, reason }: RefusedRange): void {
    const { deps, entry, logger, problems } = this.#context;
    const nowMs = deps.clock.monotonicMs();
    this.#lines += lines;
    if (nowMs - this.#toldAtMs < REFUSED_TELL_MS) return;
    problems.set("rejected", `Topic ${entry.topic} refuses lines for good: ${reason}`);
    logger.error({ file: id, path, from, to, lines: this.#lines, reason }, "lines are refused for good");
    this.#lines = 0;
    this.#toldAtMs = nowMs;
  }
}
