import { basename } from "node:path";

const COMPRESSED = /\.(gz|zst)$/;
/** `1`, `20261121`, `2026-11-21_10:00`, `2026-11-21-10.3`, `old`. */
const MARK = /^(\d[\d._:T-]*|old)$/;
/** `1.log`: in front of what the name ends in. */
const MARK_AND_EXTENSION = /^(\d[\d._:T-]*|old)(\.[A-Za-z][A-Za-z\d]*)$/;
/** A number below counts generations, the youngest first; from here on it is a date. */
const DATES_FROM = 10_000;

/** What a rotated file may have been called before, and what rotation put into its name. */
export interface GenerationName {
  readonly before: string;
  readonly mark: string;
}

/** Is it called like a file that gzip or zstd has written? */
export function isCompressedName(path: string): boolean {
  return COMPRESSED.test(path);
}

/** The path without the ending of a compressed file. */
export function uncompressedPath(path: string): string {
  return path.replace(COMPRESSED, "");
}

/**
 * The names from which rotation makes the one of `path`, the longest first: `a.log` of `a.log.1`, `a.log-20261121`, `a-1.log`,
 * `a.2026-11-21.log`, and of the same with `.gz` or `.zst` behind.
 */
export function namesBefore(path: string): readonly GenerationName[] {
  const name = uncompressedPath(basename(path));
  const names: GenerationName[] = [];
  for (let at = name.length - 2; at > 0; at -= 1) {
    if (!"._-".includes(name[at] ?? "")) continue;
    const [stem, rest] = [name.slice(0, at), name.slice(at + 1)];
    const [, mark = rest, extension = ""] = MARK_AND_EXTENSION.exec(rest) ?? [];
    if (extension !== "" || MARK.test(rest)) names.push({ before: stem + extension, mark });
  }
  return names;
}

/** Orders what rotation put into the names of one path's files: the older one first. */
export function compareMarks(a: string, b: string): number {
  const [numbersA, numbersB] = [numbersIn(a), numbersIn(b)];
  const length = Math.max(numbersA.length, numbersB.length);
  for (let at = 0; at < length; at += 1) {
    const [one = -1, other = -1] = [numbersA[at], numbersB[at]];
    if (one === other) continue;
    const areGenerations = length === 1 && one < DATES_FROM && other < DATES_FROM;
    return areGenerations ? other - one : one - other;
  }
  return 0;
}

function numbersIn(mark: string): readonly number[] {
  return (mark.match(/\d+/g) ?? []).map(Number);
}
