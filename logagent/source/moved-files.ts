import { dirname } from "node:path";
import { inodesIn } from "../checkpoint/inodes-in.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { keyOf } from "./tailed-file.ts";

export interface MovedFiles {
  /** Renamed, and with bytes that were not shipped, or that were and are no longer there. */
  readonly moved: readonly { readonly path: string; readonly key: string }[];
  /** In no name of the folder they were found in. */
  readonly gone: readonly CheckpointRecord[];
}

/**
 * Looks for the files of records in the folders they were found in, under whatever name they have now. Rejects with the
 * signal's reason.
 */
export async function findMoved(
  records: readonly CheckpointRecord[],
  options: { readonly signal: AbortSignal },
): Promise<MovedFiles> {
  const moved: { path: string; key: string }[] = [];
  const gone: CheckpointRecord[] = [];
  for (const [folder, wanted] of Map.groupBy(records, (record) => dirname(record.path))) {
    const { files, isComplete } = await inodesIn(folder);
    options.signal.throwIfAborted();
    for (const record of wanted) {
      const file = files.get(record.ino);
      if (file?.stats.birthtimeNs !== record.birthtimeNs) {
        if (isComplete) gone.push(record);
      } else if (Number(file.stats.size) !== record.offset || record.offset < record.seen) {
        moved.push({ path: file.path, key: keyOf(file.stats) });
      }
    }
  }
  return { moved, gone };
}
