import { dirname } from "node:path";
import type { BytesHash, CheckpointRecord } from "./record.ts";

// Each gives true when it changed the record.

/** Its file has had so many bytes when it was looked at. */
export function see(record: CheckpointRecord, size: number): boolean {
  if (size <= record.seen) return false;
  record.account.seen += size - record.seen;
  record.seen = size;
  return true;
}

/** Its file was found in a folder, whatever its name there. */
export function changeFolder(record: CheckpointRecord, folder: string): boolean {
  if (folder === (record.folder ?? dirname(record.path))) return false;
  if (folder === dirname(record.path)) delete record.folder;
  else record.folder = folder;
  return true;
}

/** Its file was sent, or seen, as far as `to`; `tail` is of the bytes before that. */
export function reach(record: CheckpointRecord, to: number, tail: BytesHash): boolean {
  if (to <= (record.furthest?.to ?? 0)) return false;
  record.furthest = { to, tail };
  return true;
}

/** Its file has become as short as `size`; what was read of it, as far as `read`, is as it was. */
export function cutBack(
  record: CheckpointRecord,
  size: number,
  read: { readonly offset: number; readonly tail: BytesHash },
): boolean {
  if ((record.furthest?.to ?? 0) <= size) return false;
  record.furthest = { to: read.offset, tail: read.tail };
  return true;
}
