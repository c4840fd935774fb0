import type { BigIntStats } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { Slice } from "../../base/slice.ts";
import { foldersOf } from "../checkpoint/gone-records.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import type { FolderIndex } from "./folder-index.ts";
import { statOf } from "./stat-of.ts";

/** Folders next to a file, where rotated ones may be put, that are searched for it. */
export const SUBFOLDERS_MAX = 100;

/** The file of a record, under the name it has now. */
export interface MovedFile {
  readonly path: string;
  readonly stats: BigIntStats;
  readonly record: CheckpointRecord;
}

export interface MovedFiles {
  /** Renamed, and with bytes that were not shipped, or that were and are no longer there. */
  readonly moved: readonly MovedFile[];
  /** In no name of the folders they may be in. */
  readonly gone: readonly CheckpointRecord[];
}

/**
 * Looks for the files of records in the folders they were found in and in those below, under whatever name they have now.
 * Rejects with the signal's reason.
 */
export async function findMoved(
  records: readonly CheckpointRecord[],
  index: FolderIndex,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<MovedFiles> {
  const moved: MovedFile[] = [];
  const gone: CheckpointRecord[] = [];
  const search = new Search(index);
  const slice = new Slice(clock);
  for (const record of records) {
    const found = await search.find(record);
    signal.throwIfAborted();
    if (slice.isOver) await slice.giveTurn({ signal });
    if (found === "gone") gone.push(record);
    else if (found !== "unknown" && hasNews(record, found.stats)) {
      moved.push({ ...found, record });
    }
  }
  return { moved, gone };
}

/** Where the file of a record is; "unknown": it is on its way, or a folder cannot be read. */
export function whereIs(
  record: CheckpointRecord,
  index: FolderIndex,
): Promise<{ readonly path: string; readonly stats: BigIntStats } | "gone" | "unknown"> {
  return new Search(index).find(record);
}

function hasNews(record: CheckpointRecord, stats: BigIntStats): boolean {
  // Of a compressed one that could not be unpacked nobody knows yet what is in it.
  if (record.isPacked === true) {
    return record.offset < record.seen || (record.seen === 0 && record.isResting !== true);
  }
  return Number(stats.size) !== record.offset || record.offset < record.seen;
}

/** One search, for which a folder is looked at once. */
class Search {
  readonly #index: FolderIndex;
  readonly #folders = new Map<string, ReturnType<FolderIndex["look"]>>();

  constructor(index: FolderIndex) {
    this.#index = index;
  }

  async find(
    record: CheckpointRecord,
  ): Promise<{ readonly path: string; readonly stats: BigIntStats } | "gone" | "unknown"> {
    const { folders: below } = await this.#look(dirname(record.path));
    let isComplete = true;
    for (const folder of new Set([...foldersOf(record), ...below.slice(0, SUBFOLDERS_MAX)])) {
      const inodes = await this.#look(folder);
      const file = inodes.files.get(record.ino);
      const stats = file?.birthtimeNs === record.birthtimeNs ? statOf(file.path) : undefined;
      if (file !== undefined && stats?.ino === record.ino) return { path: file.path, stats };
      if (file !== undefined && stats === undefined) this.#index.forget(folder);
      // It was there a moment ago.
      if (stats !== undefined || (file !== undefined && file.birthtimeNs === record.birthtimeNs))
        return "unknown";
      isComplete &&= inodes.isComplete;
    }
    return isComplete ? "gone" : "unknown";
  }

  #look(folder: string): ReturnType<FolderIndex["look"]> {
    const known = this.#folders.get(folder) ?? this.#index.look(folder);
    this.#folders.set(folder, known);
    return known;
  }
}
