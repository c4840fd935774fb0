import { type BigIntStats, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errorCode } from "../../base/errors.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { keyOf } from "./tailed-file.ts";

/** The event loop gets its turn after so many names. */
const NAMES_PER_TURN = 1_000;

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
    const files = await inodesIn(folder);
    options.signal.throwIfAborted();
    if (files === undefined) continue;
    for (const record of wanted) {
      const file = files.get(record.ino);
      if (file?.stats.birthtimeNs !== record.birthtimeNs) gone.push(record);
      else if (Number(file.stats.size) !== record.offset || record.offset < record.seen) {
        moved.push({ path: file.path, key: keyOf(file.stats) });
      }
    }
  }
  return { moved, gone };
}

/** Regular files of a folder by inode; undefined when the folder cannot be read. */
async function inodesIn(
  folder: string,
): Promise<ReadonlyMap<bigint, { readonly path: string; readonly stats: BigIntStats }> | undefined> {
  const files = new Map<bigint, { path: string; stats: BigIntStats }>();
  try {
    let names = 0;
    for (const name of readdirSync(folder)) {
      if (++names % NAMES_PER_TURN === 0) await nextTurn();
      const path = join(folder, name);
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats?.isFile()) files.set(stats.ino, { path, stats });
    }
    return files;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return files;
    if (errorCode(error) !== undefined) return undefined;
    throw error;
  }
}
