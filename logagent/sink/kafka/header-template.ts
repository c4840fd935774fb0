import type { PartMark } from "../../framing/types.ts";
import type { ShippedFile } from "../port.ts";
import { varintBytes, writeVarint } from "./varint.ts";

/** Digits of the largest safe integer. */
const DIGITS_MAX = 16;
/** Of the header `part`, at most: its name, its value, and both their lengths. */
export const PART_HEADER_BYTES_MAX = 1 + 4 + 1 + 2 * DIGITS_MAX + 1;

/**
 * The headers `ip`, `path` and `pos` of a file's records, encoded but for the digits of the offset, which stand last. A prefix
 * exists for each number of digits, since the length of `pos` stands before it.
 */
export class HeaderTemplate {
  readonly #file: ShippedFile;
  readonly #prefixes: (Buffer | undefined)[] = [];
  /** Upper bound of the headers' bytes. */
  readonly bytesMax: number;

  constructor(file: ShippedFile) {
    this.#file = file;
    this.bytesMax = this.prefix(DIGITS_MAX).length + DIGITS_MAX;
  }

  /** Everything before an offset of `digits` digits: the count of headers, `ip`, `path`, and `pos` up to its colon. */
  prefix(digits: number): Buffer {
    let prefix = this.#prefixes[digits];
    if (prefix === undefined) {
      prefix = encodePrefix(this.#file, digits, []);
      this.#prefixes[digits] = prefix;
    }
    return prefix;
  }

  /** The same with the header `part` among them. */
  prefixOfPart(digits: number, mark: PartMark): Buffer {
    return encodePrefix(this.#file, digits, [field("part"), field(partHeader(mark))]);
  }
}

/** The value of the header `part`: `2` for the second of a line or a group that goes on, `3/3` for the last of three. */
export function partHeader({ part, isLast }: PartMark): string {
  return isLast ? `${part}/${part}` : String(part);
}

/** All headers of a part, where the others are off. */
export function onlyPartHeader(mark: PartMark): Buffer {
  return Buffer.concat([varint(1), field("part"), field(partHeader(mark))]);
}

function encodePrefix(file: ShippedFile, digits: number, part: readonly Buffer[]): Buffer {
  const id = Buffer.from(`${file.id}:`);
  return Buffer.concat([
    varint(3 + part.length / 2),
    field("ip"),
    field(file.ip),
    field("path"),
    field(file.path),
    ...part,
    field("pos"),
    varint(id.length + digits),
    id,
  ]);
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes = Buffer.alloc(varintBytes(value));
  writeVarint(bytes, 0, value);
  return bytes;
}
