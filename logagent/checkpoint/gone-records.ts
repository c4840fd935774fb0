import { dirname } from "node:path";
import { inodesIn } from "./inodes-in.ts";
import type { CheckpointRecord } from "./record.ts";

/**
 * Those whose file is no longer in the folder it was found in, under whatever name. A folder that is gone takes its files
 * with it; one that cannot be read keeps them.
 */
export async function goneRecords(
  records: readonly CheckpointRecord[],
): Promise<readonly CheckpointRecord[]> {
  const gone: CheckpointRecord[] = [];
  for (const [folder, all] of Map.groupBy(records, (record) => dirname(record.path))) {
    const { files, isComplete } = await inodesIn(folder);
    if (!isComplete) continue;
    gone.push(...all.filter(({ ino, birthtimeNs }) => files.get(ino)?.stats.birthtimeNs !== birthtimeNs));
  }
  return gone;
}
