import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCode } from "../../base/errors.ts";
import type { CheckpointRecord } from "./record.ts";

/**
 * Those whose file is no longer in the folder it was found in, under whatever name. A folder that is gone takes its files
 * with it; one that cannot be read keeps them.
 */
export function goneRecords(records: readonly CheckpointRecord[]): readonly CheckpointRecord[] {
  const byFolder = Map.groupBy(records, (record) => dirname(record.path));
  return [...byFolder].flatMap(([folder, all]) => {
    const present = inodesIn(folder);
    return present === undefined
      ? []
      : all.filter((record) => present.get(record.ino) !== record.birthtimeNs);
  });
}

/** Inode → birth time of all files in a folder; undefined when that cannot be known. */
function inodesIn(folder: string): ReadonlyMap<bigint, bigint> | undefined {
  const present = new Map<bigint, bigint>();
  try {
    for (const name of readdirSync(folder)) {
      const stats = statSync(join(folder, name), { bigint: true, throwIfNoEntry: false });
      if (stats !== undefined) present.set(stats.ino, stats.birthtimeNs);
    }
    return present;
  } catch (error) {
    return errorCode(error) === "ENOENT" ? present : undefined;
  }
}
