import type { LineSpans, PartMark } from "../../framing/types.ts";
import { copyBytes } from "../copy-bytes.ts";
import { type HeaderTemplate, onlyPartHeader } from "./header-template.ts";

const DIGIT_0 = 48;
/** A count of 0. */
const NO_HEADERS = Buffer.alloc(1);

/** The headers of the records of a delivery, one record after another: no object for a line that is no part of one. */
export class RecordHeaders {
  readonly #template: HeaderTemplate | undefined;
  readonly #base: number;
  readonly #positions: Uint32Array;
  readonly #parts: readonly PartMark[];
  #nextPart: number;
  #markedRecord: number;
  /** Of the record, in the file. */
  #position = 0;
  #digits = 0;
  /** From here on positions have more digits. */
  #digitsLimit = 0;
  #usualPrefix: Buffer = NO_HEADERS;
  #prefix: Buffer = NO_HEADERS;

  /** `first`: the record that is moved to first. */
  constructor(
    spans: LineSpans,
    options: { readonly template: HeaderTemplate | undefined; readonly first: number },
  ) {
    this.#template = options.template;
    this.#base = spans.base;
    this.#positions = spans.positions ?? spans.starts;
    this.#parts = spans.parts ?? [];
    const { first } = options;
    const nextPart = this.#parts.findIndex(({ record }) => record >= first);
    this.#nextPart = nextPart === -1 ? this.#parts.length : nextPart;
    this.#markedRecord = this.#parts[this.#nextPart]?.record ?? -1;
  }

  /** Of the record that was moved to, with their count. */
  get bytes(): number {
    return this.#prefix.length + this.#digits;
  }

  /** Each record once, in order. */
  moveTo(record: number): void {
    if (this.#template !== undefined) this.#moveTo(this.#base + this.#positions[record]!, this.#template);
    this.#prefix = record === this.#markedRecord ? this.#prefixOfPart() : this.#usualPrefix;
  }

  /** Writes them at `target[at]`; returns the position behind. */
  write(target: Uint8Array, at: number): number {
    const next = copyBytes(target, at, this.#prefix, 0, this.#prefix.length);
    return this.#digits > 0 ? writeDigits(target, next + this.#digits, this.#position) : next;
  }

  #moveTo(position: number, template: HeaderTemplate): void {
    this.#position = position;
    if (position < this.#digitsLimit) return;
    this.#digits = digitsOf(position);
    this.#digitsLimit = 10 ** this.#digits;
    this.#usualPrefix = template.prefix(this.#digits);
  }

  #prefixOfPart(): Buffer {
    const mark = this.#parts[this.#nextPart]!;
    this.#nextPart += 1;
    this.#markedRecord = this.#parts[this.#nextPart]?.record ?? -1;
    return this.#template?.prefixOfPart(this.#digits, mark) ?? onlyPartHeader(mark);
  }
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits += 1;
  return digits;
}

/** Writes the decimal digits of `value` so that they end before `end`; returns `end`. */
function writeDigits(target: Uint8Array, end: number, value: number): number {
  let at = end;
  let rest = value;
  // Beyond 31 bits a division is one of doubles, so it is done once for nine digits.
  if (value > 0x7fff_ffff) {
    const high = Math.floor(value / 1e9);
    let low = value - high * 1e9;
    for (let i = 0; i < 9; i++) {
      const quotient = (low / 10) | 0;
      target[--at] = DIGIT_0 + low - quotient * 10;
      low = quotient;
    }
    rest = high;
  }
  let small = rest | 0;
  do {
    const quotient = (small / 10) | 0;
    target[--at] = DIGIT_0 + small - quotient * 10;
    small = quotient;
  } while (small > 0);
  return end;
}
