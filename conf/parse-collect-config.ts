import { CodedError } from "../base/errors.ts";
import { type Entry, entrySchema } from "./collect-config.ts";
import { parseFields, shownValue } from "./field-issues.ts";
import { findJsonError } from "./json-syntax.ts";

/** Entries in one collect config. */
export const ENTRIES_MAX = 10_000;
/** Mistakes that one message names; the rest is counted. */
const SHOWN_ISSUES_MAX = 10;

/** Names of the fields that an entry may have. */
export const ENTRY_FIELDS: readonly string[] = Object.keys(entrySchema.shape);

/** A further test of one entry: a clause that says what is wrong with it, or undefined. */
export type EntryCheck = (entry: Entry) => string | undefined;

/**
 * Reads a collect config whole: a list of entries, or CodedError "EBADCONFIG" whose message names every mistake (up to
 * 10) by entry and field. Nothing of a list with a mistake is used.
 */
export function parseCollectConfig(value: Uint8Array, check?: EntryCheck): Entry[] {
  const list = parseList(value);
  if (list.length > ENTRIES_MAX) {
    throw badConfig([`the list has ${list.length} entries, expected at most ${ENTRIES_MAX}`]);
  }
  const problems: string[] = [];
  const entries: Entry[] = [];
  const numbers = new Map<string, number>();
  list.forEach((raw, index) => {
    const parsed = parseFields(entrySchema, raw);
    const found: string[] = [];
    if (parsed.kind === "invalid") found.push(...parsed.issues.map((issue) => issue.sentence));
    else {
      const entry = parsed.value;
      const first = numbers.get(entry.path);
      if (first === undefined) numbers.set(entry.path, index + 1);
      else found.push(`the same path is in entry ${first}, expected each path once`);
      const refusal = check?.(entry);
      if (refusal !== undefined) found.push(refusal);
      entries.push(entry);
    }
    problems.push(...found.map((problem) => `entry ${index + 1}${pathOf(raw)}: ${problem}`));
  });
  if (problems.length > 0) throw badConfig(problems);
  return entries;
}

function parseList(value: Uint8Array): readonly unknown[] {
  const text = decode(value);
  if (text.trim() === "") throw badConfig(["the value is empty, expected a JSON list ([] for no entries)"]);
  const error = findJsonError(text);
  if (error !== undefined) {
    throw badConfig([`not JSON at line ${error.line}, column ${error.column}: ${error.reason}`]);
  }
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) {
    throw badConfig([
      `the value is ${shownValue(parsed)}, expected a list of entries ([{"path": …, "topic": …}])`,
    ]);
  }
  return parsed;
}

function decode(value: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(value);
  } catch (error) {
    throw new CodedError("EBADCONFIG", "Cannot use collect config: it is not UTF-8, expected JSON text", {
      cause: error,
    });
  }
}

function pathOf(raw: unknown): string {
  if (typeof raw !== "object" || raw === null || !("path" in raw) || typeof raw.path !== "string") return "";
  return ` (${shownValue(raw.path)})`;
}

function badConfig(problems: readonly string[]): CodedError<"EBADCONFIG"> {
  const shown = problems.slice(0, SHOWN_ISSUES_MAX).join("; ");
  const more = problems.length - SHOWN_ISSUES_MAX;
  return new CodedError(
    "EBADCONFIG",
    `Cannot use collect config: ${shown}${more > 0 ? `; and ${more} more mistakes` : ""}`,
  );
}
