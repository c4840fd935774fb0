import { asBuffer } from "../../base/as-buffer.ts";
import type { Entry } from "../../conf/collect-config.ts";

const FIELD_PREFIX = "field:";
const OPENING_BRACE = 0x7b;

/** What a record's key is taken from: its bytes, and the path of its file. */
export type KeyOf = (record: Uint8Array, path: string) => Buffer | undefined;

/**
 * For an entry's field `key`. `field:<name>` is the static field of that name, or the value of that name in a record that is a JSON
 * object: a string as it is, a number or a boolean as JSON has it. A record without it has no key.
 */
export function recordKey(entry: Pick<Entry, "key" | "fields">): KeyOf | undefined {
  if (entry.key === "none") return undefined;
  if (entry.key === "path") return (_record, path) => Buffer.from(path);
  const name = entry.key.slice(FIELD_PREFIX.length);
  const fixed = Object.hasOwn(entry.fields, name) ? entry.fields[name] : undefined;
  if (fixed !== undefined) {
    const key = Buffer.from(fixed);
    return () => key;
  }
  return (record) => keyInJson(record, name);
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
