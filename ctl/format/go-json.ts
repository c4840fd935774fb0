/** What {@link goJson} writes: bytes as base64, as Go does with []byte. */
export type Json =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

/** JSON as Go's encoding/json writes it: 64-bit integers as digits, bytes as base64, `<`, `>` and `&` escaped. */
export function goJson(value: Json): string {
  if (value === null || typeof value === "boolean" || typeof value === "number") return JSON.stringify(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return goJsonString(value);
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString("base64")}"`;
  if (isList(value)) return `[${value.map(goJson).join(",")}]`;
  const fields = Object.entries(value).flatMap(([name, field]) =>
    field === undefined ? [] : [`${goJsonString(name)}:${goJson(field)}`],
  );
  return `{${fields.join(",")}}`;
}

/** The fields that Go's `omitempty` keeps: not zero, false, empty or absent. */
export function omitEmpty(fields: { readonly [name: string]: Json | undefined }): {
  readonly [name: string]: Json;
} {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, Json] => !isEmpty(entry[1])),
  );
}

function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === 0 || value === 0n) return true;
  if (value === false || value === "") return true;
  return (value instanceof Uint8Array || isList(value)) && value.length === 0;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function goJsonString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
