import { UTF_8 } from "../../conf/encodings.ts";

const LF = 10;
const CR = 13;

/** How lines and characters stand in the bytes of an encoding. Positions are indexes into `bytes`. */
export interface LineCoding {
  /** A newline, and whatever counts as one unit, has so many bytes. A line starts at a multiple of it from the file's start. */
  readonly unitBytes: 1 | 2;
  /** The text in UTF-8 has at most so many times the bytes. */
  readonly utf8Factor: number;
  /** Of the next newline at or after `from`, where a line starts; -1: none that is whole before `end`. */
  newline(bytes: Buffer, from: number, end: number): number;
  /** Is there a carriage return at `at`? */
  isReturn(bytes: Buffer, at: number): boolean;
  /** The last end of a character that is not behind `to`; `from`, where one starts, when there is none. */
  cut(bytes: Buffer, from: number, to: number): number;
}

/** For an encoding by its canonical name (WHATWG Encoding Standard). */
export function lineCoding(encoding: string): LineCoding {
  if (encoding === UTF_8) return UTF_8_LINES;
  if (encoding === "utf-16le") return utf16Lines(0);
  if (encoding === "utf-16be") return utf16Lines(1);
  const charBytes = MULTI_BYTE[encoding];
  return charBytes === undefined ? SINGLE_BYTE_LINES : multiByteLines(charBytes);
}

/** In all of them but UTF-16 the byte of `\n` is never a part of another character. */
const byteNewline = (bytes: Buffer, from: number, end: number): number => {
  const found = bytes.indexOf(LF, from);
  return found < end ? found : -1;
};
const isByteReturn = (bytes: Buffer, at: number): boolean => bytes[at] === CR;

export const UTF_8_LINES: LineCoding = {
  unitBytes: 1,
  utf8Factor: 1,
  newline: byteNewline,
  isReturn: isByteReturn,
  cut: cutUtf8,
};

const SINGLE_BYTE_LINES: LineCoding = {
  unitBytes: 1,
  utf8Factor: 3,
  newline: byteNewline,
  isReturn: isByteReturn,
  cut: (_bytes, _from, to) => to,
};

/** A character that begins before `to` and does not end there is left out; what is no UTF-8 is cut anywhere. */
function cutUtf8(bytes: Buffer, from: number, to: number): number {
  for (let at = to - 1; at >= from && at > to - 4; at--) {
    const byte = bytes[at] as number;
    if (byte < 0x80) return to;
    if (byte < 0xc0) continue;
    const characterBytes = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return at + characterBytes > to ? at : to;
  }
  return to;
}

/** `low`: which byte of a unit holds its lower half. */
function utf16Lines(low: 0 | 1): LineCoding {
  const isUnit = (bytes: Buffer, at: number, unit: number) =>
    bytes[at + low] === unit && bytes[at + 1 - low] === 0;
  return {
    unitBytes: 2,
    utf8Factor: 1.5,
    newline(bytes, from, end) {
      for (let found = from; ; ) {
        const low10 = bytes.indexOf(LF, found);
        if (low10 === -1) return -1;
        const at = low10 - low;
        if (at + 2 > end) return -1;
        if ((at - from) % 2 === 0 && at >= from && isUnit(bytes, at, LF)) return at;
        found = low10 + 1;
      }
    },
    isReturn: (bytes, at) => isUnit(bytes, at, CR),
    cut(bytes, from, to) {
      const whole = to - ((to - from) % 2);
      const high = (bytes[whole - 1 - low] as number) & 0xfc;
      return whole > from && high === 0xd8 ? whole - 2 : whole;
    },
  };
}

/** Bytes of the character that starts at `at`. */
type CharBytes = (bytes: Buffer, at: number) => number;

const doubleByte: CharBytes = (bytes, at) => ((bytes[at] as number) > 0x80 ? 2 : 1);
const MULTI_BYTE: Readonly<Record<string, CharBytes>> = {
  gbk: chineseBytes,
  gb18030: chineseBytes,
  big5: doubleByte,
  "euc-kr": doubleByte,
  "euc-jp": (bytes, at) => (bytes[at] === 0x8f ? 3 : doubleByte(bytes, at)),
  shift_jis: (bytes, at) => {
    const byte = bytes[at] as number;
    // Between the two ranges stand katakana of one byte.
    return (byte > 0x80 && byte < 0xa0) || byte > 0xdf ? 2 : 1;
  },
};

function chineseBytes(bytes: Buffer, at: number): number {
  if ((bytes[at] as number) <= 0x80) return 1;
  const second = bytes[at + 1] ?? 0;
  return second >= 0x30 && second <= 0x39 ? 4 : 2;
}

function multiByteLines(charBytes: CharBytes): LineCoding {
  return {
    ...SINGLE_BYTE_LINES,
    cut(bytes, from, to) {
      let at = from;
      for (let next = at + charBytes(bytes, at); next <= to && at < to; next = at + charBytes(bytes, at))
        at = next;
      return at;
    },
  };
}
