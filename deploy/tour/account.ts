/** The end of the tour: what was written, and what of it arrived. Lines are told apart by name and number. */
export interface Account {
  readonly name: string;
  readonly written: number;
  readonly delivered: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Lines that came before one with a lower number that had not come yet. */
  readonly outOfOrder: number;
}

const LINE = /^\S+ (\S+) #(\d+) /;

/** Gathers delivered lines, in the order of their arrival. */
export class Tally {
  readonly #seen = new Map<
    string,
    { readonly numbers: Set<number>; arrived: number; highest: number; late: number }
  >();
  #lines = 0;

  /** Lines added so far. */
  get lines(): number {
    return this.#lines;
  }

  /** Throws on a line that no writer of the tour wrote: a torn or mixed line is damage, not noise. */
  add(line: string): void {
    const match = LINE.exec(line);
    const [, name, digits] = match ?? [];
    if (name === undefined || digits === undefined)
      throw new Error(`A line arrived that nobody wrote: ${line}`);
    const entry = this.#entry(name);
    const number = Number(digits);
    this.#lines += 1;
    entry.arrived += 1;
    if (!entry.numbers.has(number) && number < entry.highest) entry.late += 1;
    entry.numbers.add(number);
    entry.highest = Math.max(entry.highest, number);
  }

  /** Different lines that have arrived from `name`. */
  delivered(name: string): number {
    return this.#entry(name).numbers.size;
  }

  /** `written` lines, numbered from 1, were written by `name`. */
  account(name: string, written: number): Account {
    const { numbers, arrived, late } = this.#entry(name);
    let delivered = 0;
    for (let number = 1; number <= written; number += 1) if (numbers.has(number)) delivered += 1;
    return {
      name,
      written,
      delivered,
      lost: written - delivered,
      duplicated: arrived - numbers.size,
      outOfOrder: late,
    };
  }

  #entry(name: string) {
    const known = this.#seen.get(name);
    if (known !== undefined) return known;
    const entry = { numbers: new Set<number>(), arrived: 0, highest: 0, late: 0 };
    this.#seen.set(name, entry);
    return entry;
  }
}
