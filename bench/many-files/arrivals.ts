/** Wrong lines that are shown. */
const SHOWN_MAX = 10;

/** The lines as they arrive, held against what each file is to have: its numbers from 0 on, in order, each once. */
export class Arrivals {
  readonly problems: string[] = [];
  problemCount = 0;
  lines = 0;
  /** Files that have shown their first line, which was there before the agent was. */
  found = 0;
  readonly #next: Uint32Array;
  /** The longest from a line's write to its arrival, of each file. */
  readonly #slowestMs: Float64Array;

  constructor(files: number) {
    this.#next = new Uint32Array(files);
    this.#slowestMs = new Float64Array(files);
  }

  arrived(text: string, atMs: number): void {
    const [file = Number.NaN, sequence = Number.NaN, writtenAtMs = Number.NaN] = text
      .split(" ", 3)
      .map(Number);
    const expected = this.#next[file];
    this.lines += 1;
    if (sequence !== expected) this.#wrong(`file ${file}: line ${sequence} arrived, expected ${expected}`);
    this.#next[file] = sequence + 1;
    if (sequence === 0) this.found += 1;
    else this.#slowestMs[file] = Math.max(this.#slowestMs[file] ?? 0, atMs - writtenAtMs);
  }

  isComplete(written: Uint32Array): boolean {
    return written.every((lines, file) => this.#next[file] === lines);
  }

  /** After the end: what is missing is wrong as well. */
  check(written: Uint32Array): void {
    for (const [file, lines] of written.entries()) {
      if (this.#next[file] !== lines)
        this.#wrong(`file ${file}: ${this.#next[file]} lines arrived of ${lines}`);
    }
  }

  /** The longest delay of each file among these, sorted. */
  slowestMs(isAmong: (file: number) => boolean): number[] {
    return [...this.#slowestMs].filter((ms, file) => ms > 0 && isAmong(file)).sort((a, b) => a - b);
  }

  #wrong(problem: string): void {
    this.problemCount += 1;
    if (this.problems.length < SHOWN_MAX) this.problems.push(problem);
  }
}
