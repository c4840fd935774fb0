import type { Entry } from "./types.ts";

/** Bytes of data in entries: what every bound of the core counts. */
export function bytesOf(entries: Iterable<Entry>): number {
  let bytes = 0;
  for (const { data } of entries) bytes += data.byteLength;
  return bytes;
}
