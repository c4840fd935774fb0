import { statSync } from "node:fs";
import { foldersOf } from "../checkpoint/gone-records.ts";
import type { FolderInodes, Folders } from "../checkpoint/inodes-in.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";

/** Where the file of a record is. */
export type FilePlace =
  | { readonly kind: "there"; readonly path: string; readonly size: number }
  /** In none of the folders in which it was found. */
  | { readonly kind: "gone" }
  /** A folder cannot be read, or must not be touched. */
  | { readonly kind: "unknown" };

/** Looks for the files of records in the folders in which they were found, under whatever name. */
export async function findPlaces(
  records: readonly CheckpointRecord[],
  folders: Folders,
): Promise<ReadonlyMap<CheckpointRecord, FilePlace>> {
  const byFolder = new Map<string, FolderInodes>();
  const places = new Map<CheckpointRecord, FilePlace>();
  for (const record of records) {
    let place: FilePlace = { kind: "gone" };
    for (const folder of foldersOf(record)) {
      const inodes = byFolder.get(folder) ?? (await folders.look(folder));
      byFolder.set(folder, inodes);
      const file = inodes.files.get(record.ino);
      if (file?.birthtimeNs === record.birthtimeNs) place = placeAt(file.path, record) ?? place;
      else if (!inodes.isComplete && place.kind === "gone") place = { kind: "unknown" };
    }
    places.set(record, place);
  }
  return places;
}

/** Undefined: it has left meanwhile. */
function placeAt(path: string, { ino }: CheckpointRecord): FilePlace | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats?.ino === ino ? { kind: "there", path, size: Number(stats.size) } : undefined;
}
