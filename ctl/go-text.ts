import { parseGoDuration } from "../conf/go-values.ts";
import { CommandFailed, UsageError } from "./usage-error.ts";

/** How Go writes and reads the texts that etcdctl's input and output are made of (packages fmt, strconv, time). */

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

const PRINTABLE = /^[ \p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/** Go's `%q` of a string: in double quotes, everything that does not print escaped, bytes that are no UTF-8 as `\xff`. */
export function goQuote(bytes: Uint8Array): string {
  let text = '"';
  for (let at = 0; at < bytes.length; ) {
    const length = utf8Length(bytes, at);
    if (length === 0) {
      text += `\\x${hex(bytes[at] as number, 2)}`;
      at += 1;
      continue;
    }
    text += quoteRune(Buffer.from(bytes.subarray(at, at + length)).toString("utf8"));
    at += length;
  }
  return `${text}"`;
}

/** What Go's `%q` of Sscanf takes: a string in double quotes with escapes, or in back quotes without. */
export function goUnquote(quoted: string): Buffer | undefined {
  const inner = quoted.slice(1, -1);
  if (quoted.startsWith("`")) return Buffer.from(inner, "utf8");
  const parts: Buffer[] = [];
  const unit =
    /\\(?:([abfnrtv\\"'])|x([\dA-Fa-f]{2})|u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|([0-7]{3}))|[^\\"]+/gy;
  let at = 0;
  while (at < inner.length) {
    unit.lastIndex = at;
    const found = unit.exec(inner);
    if (found === null) return undefined;
    const bytes = unquoteUnit(found);
    if (bytes === undefined) return undefined;
    parts.push(bytes);
    at = unit.lastIndex;
  }
  return Buffer.concat(parts);
}

/** A 64-bit integer as Go's ParseInt reads it. Throws UsageError in Go's words. */
export function parseInt64(text: string, radix: 10 | 16): bigint {
  const digits = radix === 10 ? /^[+-]?[0-9]+$/ : /^[+-]?[0-9a-f]+$/i;
  if (!digits.test(text))
    throw new UsageError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const magnitude = BigInt(`${radix === 16 ? "0x" : ""}${text.replace(/^[+-]/, "")}`);
  const value = text.startsWith("-") ? -magnitude : magnitude;
  if (BigInt.asIntN(64, value) !== value) {
    throw new UsageError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return value;
}

/** A 64-bit id in hexadecimal as Go's ParseUint reads it. Throws UsageError in Go's words. */
export function parseUint64(text: string): bigint {
  const shown = JSON.stringify(text);
  if (!/^[0-9a-f]+$/i.test(text)) throw new UsageError(`strconv.ParseUint: parsing ${shown}: invalid syntax`);
  const value = BigInt(`0x${text}`);
  if (BigInt.asUintN(64, value) === value) return value;
  throw new UsageError(`strconv.ParseUint: parsing ${shown}: value out of range`);
}

/** A revision, a limit, a TTL: {@link parseInt64} that fits a number. */
export function parseCount(text: string): number {
  const value = parseInt64(text, 10);
  if (BigInt.asIntN(54, value) !== value) {
    throw new UsageError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return Number(value);
}

/** A Go duration ("5s", "1m30s", "300ms") in milliseconds. Throws UsageError in Go's words. */
export function parseDuration(text: string): number {
  const ms = parseGoDuration(text);
  if (ms !== undefined) return ms;
  const problem = /^[0-9.]*[0-9]$/.test(text) ? "missing unit in" : "invalid";
  throw new UsageError(`time: ${problem} duration ${JSON.stringify(text)}`);
}

/** A duration as Go prints it: "1.652946ms", "2.5s", "1m0s". */
export function formatDuration(milliseconds: number): string {
  const ns = Math.round(milliseconds * 1e6);
  if (ns === 0) return "0s";
  if (ns < 1_000) return `${ns}ns`;
  if (ns < 1_000_000) return `${ns / 1_000}µs`;
  if (ns < 1_000_000_000) return `${ns / 1_000_000}ms`;
  const minutes = Math.floor(ns / 60e9);
  const seconds = `${(ns - minutes * 60e9) / 1e9}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}

const SI_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"] as const;

/** Bytes as etcdctl shows them: "20 kB", "2.1 GB", powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const power = Math.floor(Math.log(bytes) / Math.log(1000));
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  const unit = SI_UNITS[power];
  if (unit === undefined) throw new CommandFailed(`cannot show ${bytes} bytes: larger than expected`);
  return `${value < 10 ? value.toFixed(1) : roundHalfToEven(value)} ${unit}`;
}

/** As Go's `%.0f` does; toFixed() takes a half up. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function quoteRune(rune: string): string {
  const code = rune.codePointAt(0) ?? 0;
  const escaped = ESCAPES.get(code);
  if (escaped !== undefined) return escaped;
  if (PRINTABLE.test(rune)) return rune;
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function unquoteUnit(found: RegExpExecArray): Buffer | undefined {
  const [whole, letter, byte, short, long, octal] = found;
  if (letter !== undefined) return Buffer.from([LETTERS[letter] ?? letter.charCodeAt(0)]);
  if (byte !== undefined) return Buffer.from([Number.parseInt(byte, 16)]);
  if (octal !== undefined) {
    const value = Number.parseInt(octal, 8);
    return value > 255 ? undefined : Buffer.from([value]);
  }
  const rune = short ?? long;
  if (rune === undefined) return Buffer.from(whole, "utf8");
  const code = Number.parseInt(rune, 16);
  return code > 0x10ffff ? undefined : Buffer.from(String.fromCodePoint(code), "utf8");
}

const LETTERS: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };

/** Bytes of the UTF-8 sequence at `at`; 0 when there is none. */
function utf8Length(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const sequence = Buffer.from(bytes.subarray(at, at + length));
  return sequence.length === length && Buffer.from(sequence.toString("utf8")).equals(sequence) ? length : 0;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
