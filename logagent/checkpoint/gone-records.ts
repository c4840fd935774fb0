import { dirname } from "node:path";
import type { FolderInodes, Folders } from "./inodes-in.ts";
import type { CheckpointRecord } from "./record.ts";

/** The folders in which the file of a record was found. */
export function foldersOf({ path, folder }: CheckpointRecord): readonly string[] {
  return folder === undefined ? [dirname(path)] : [dirname(path), folder];
}

/**
 * Those whose file is no longer in the folders it was found in, under whatever name. A folder that is gone takes its files
 * with it; one that cannot be read keeps them.
 */
export async function goneRecords(
  records: readonly CheckpointRecord[],
  folders: Folders,
): Promise<readonly CheckpointRecord[]> {
  const gone = new Set(records);
  const byFolder = new Map<string, FolderInodes>();
  for (const record of records) {
    for (const folder of foldersOf(record)) {
      const inodes = byFolder.get(folder) ?? (await folders.look(folder));
      byFolder.set(folder, inodes);
      const file = inodes.files.get(record.ino);
      if (!inodes.isComplete || file?.birthtimeNs === record.birthtimeNs) gone.delete(record);
    }
  }
  return [...gone];
}
