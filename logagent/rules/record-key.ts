import { asBuffer } from "../../base/as-buffer.ts";
import type { Entry } from "../../conf/collect-config.ts";

const FIELD_PREFIX = "field:";
const OPENING_BRACE = 0x7b;

/** Where the keys of records come from: there are none, one is of all records of a file, or each record has its own. */
export type RecordKeys =
  | { readonly kind: "none" }
  | { readonly kind: "of all"; readonly keyOf: (path: string) => Buffer }
  | { readonly kind: "of each"; readonly keyOf: (record: Uint8Array) => Buffer | undefined };

/**
 * For an entry's field `key`. `field:<name>` is the static field of that name, or the value of that name in a record that is a JSON
 * object: a string as it is, a number or a boolean as JSON has it. A record without it has no key.
 */
export function recordKeys(entry: Pick<Entry, "key" | "fields">): RecordKeys {
  if (entry.key === "none") return { kind: "none" };
  if (entry.key === "path") return { kind: "of all", keyOf: (path) => Buffer.from(path) };
  const name = entry.key.slice(FIELD_PREFIX.length);
  const fixed = Object.hasOwn(entry.fields, name) ? entry.fields[name] : undefined;
  if (fixed === undefined) return { kind: "of each", keyOf: (record) => keyInJson(record, name) };
  const key = Buffer.from(fixed);
  return { kind: "of all", keyOf: () => key };
}

/** The part of spans that holds the key of all records of a file, if there is one. */
export function keyOfAll(recordKeys: RecordKeys, path: string): { readonly keys?: Buffer } {
  return recordKeys.kind === "of all" ? { keys: recordKeys.keyOf(path) } : {};
}

function keyInJson(record: Uint8Array, name: string): Buffer | undefined {
  if (!record.subarray(0, 16).includes(OPENING_BRACE)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(asBuffer(record).toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  const key = (value as Readonly<Record<string, unknown>>)[name];
  if (typeof key === "string") return Buffer.from(key);
  return typeof key === "number" || typeof key === "boolean" ? Buffer.from(String(key)) : undefined;
}
