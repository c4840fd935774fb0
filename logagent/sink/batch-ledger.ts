import { invariant } from "../../base/invariant.ts";
import type { LineSpans } from "../framing/types.ts";
import type { ShippedFile } from "./port.ts";

/** Lines of one file that follow one another in a batch. */
interface Run {
  readonly file: ShippedFile;
  /** Offset in the file that the run's positions count from. */
  readonly base: number;
  readonly from: number;
  readonly to: number;
  readonly lines: number;
  readonly lineOverheadBytes: number;
}

const POSITIONS_MIN = 64;

/**
 * What a batch holds, line by line: which file's bytes [from, to) are settled when it is. It keeps four bytes a line, so that
 * a batch that turns out too large can be cut between any two lines.
 */
export class BatchLedger {
  readonly #runs: Run[] = [];
  /** Start of each line, relative to its run's base. */
  #positions = new Uint32Array(0);
  #lines = 0;
  #bytes = 0;
  #chargedBytes = 0;

  get lines(): number {
    return this.#lines;
  }

  /** Bytes of the files that the batch accounts for. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Memory charged for the batch: bytes, plus the overhead of each line. */
  get chargedBytes(): number {
    return this.#chargedBytes;
  }

  /** Enters the lines [first, end) of `spans`. */
  add(
    file: ShippedFile,
    spans: LineSpans,
    range: { readonly first: number; readonly end: number; readonly lineOverheadBytes: number },
  ): void {
    const { first, end, lineOverheadBytes } = range;
    if (first === end) return;
    this.#reserve(this.#lines + end - first);
    const positions = spans.positions ?? spans.starts;
    this.#positions.set(positions.subarray(first, end), this.#lines);
    this.#push({
      file,
      base: spans.base,
      from: first === 0 ? spans.from : spans.base + (positions[first] as number),
      to: end === spans.count ? spans.to : spans.base + (positions[end] as number),
      lines: end - first,
      lineOverheadBytes,
    });
  }

  /** Reports everything as durable: one call per contiguous range of a file. */
  acked(): void {
    for (const { file, from, to, lines } of this.ranges()) file.acked(from, to, lines);
  }

  /** Reports everything as refused for good. */
  rejected(reason: string): void {
    for (const { file, from, to, lines } of this.ranges()) file.rejected(from, to, lines, reason);
  }

  /** What it holds, each contiguous range of a file once. */
  *ranges(): Iterable<Pick<Run, "file" | "from" | "to" | "lines">> {
    for (let i = 0; i < this.#runs.length; ) {
      const { file, from, to, lines } = this.#runs[i] as Run;
      let end = to;
      let sum = lines;
      for (i += 1; i < this.#runs.length; i++) {
        const next = this.#runs[i] as Run;
        if (next.file !== file || next.from !== end) break;
        end = next.to;
        sum += next.lines;
      }
      yield { file, from, to: end, lines: sum };
    }
  }

  /** The same lines in two ledgers, the first with `lines` of them. */
  splitAt(lines: number): readonly [BatchLedger, BatchLedger] {
    invariant(lines > 0 && lines < this.#lines, `cut at line ${lines} is inside a batch of ${this.#lines}`);
    const left = new BatchLedger();
    const right = new BatchLedger();
    let at = 0;
    for (const run of this.#runs) {
      const cut = lines - at;
      if (cut <= 0) right.#push(run);
      else if (cut >= run.lines) left.#push(run);
      else {
        const middle = run.base + (this.#positions[lines] as number);
        left.#push({ ...run, to: middle, lines: cut });
        right.#push({ ...run, from: middle, lines: run.lines - cut });
      }
      at += run.lines;
    }
    left.#positions = this.#positions.slice(0, lines);
    right.#positions = this.#positions.slice(lines, this.#lines);
    return [left, right];
  }

  #push(run: Run): void {
    this.#runs.push(run);
    this.#lines += run.lines;
    this.#bytes += run.to - run.from;
    this.#chargedBytes += run.to - run.from + run.lines * run.lineOverheadBytes;
  }

  #reserve(lines: number): void {
    if (lines <= this.#positions.length) return;
    const grown = new Uint32Array(Math.max(POSITIONS_MIN, lines, this.#positions.length * 2));
    grown.set(this.#positions.subarray(0, this.#lines));
    this.#positions = grown;
  }
}
