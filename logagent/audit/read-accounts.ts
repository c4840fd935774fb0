import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, errorCode, errorMessage } from "../../base/errors.ts";
import { cannotRead } from "../checkpoint/cannot-read.ts";
import { type CheckpointContent, decodeCheckpoints } from "../checkpoint/checkpoint-codec.ts";
import { decodeJournal, type JournalFile } from "../checkpoint/decode-journal.ts";
import { LOSSES_FILE, LOSSES_PREVIOUS_FILE } from "../checkpoint/loss-journal.ts";
import type { JournaledLoss } from "../checkpoint/loss-line.ts";
import { CURRENT_FILE, PREVIOUS_FILE } from "../checkpoint/read-newest.ts";

/** What an agent has written of what became of its files. */
export interface WrittenAccounts {
  readonly checkpoints: CheckpointContent;
  /** When the checkpoints were written, milliseconds since the Unix epoch. */
  readonly writtenAtMs: number;
  /** By number; those of the oldest may be forgotten. */
  readonly losses: ReadonlyMap<number, JournaledLoss>;
  /** Sentences about what cannot be read. */
  readonly damaged: readonly string[];
}

/**
 * Reads the checkpoints and then the loss journal: an agent that runs writes them the other way round, so that no loss is
 * missing of which the checkpoints know. Throws CodedError "ENOACCOUNTS" when there are none, "EUNREADABLE" when a file cannot be read, and
 * those of the two formats for a newer version.
 */
export async function readAccounts(folder: string): Promise<WrittenAccounts> {
  const damaged: string[] = [];
  const newest = await readCheckpoints(folder, damaged);
  const losses = new Map<number, JournaledLoss>();
  // The newer file first: it may become the older one in between.
  const current = await readIfThere(join(folder, LOSSES_FILE));
  const previous = await readIfThere(join(folder, LOSSES_PREVIOUS_FILE));
  const journal = decodeJournal({ previous, current }, newest.checkpoints.losses);
  for (const one of journal.losses) losses.set(one.number, one);
  return { ...newest, losses, damaged: [...damaged, ...journal.damaged] };
}

async function readCheckpoints(folder: string, damaged: string[]) {
  // Between two renames there is no newest file, and the previous one is the newest.
  for (const name of [CURRENT_FILE, PREVIOUS_FILE, CURRENT_FILE]) {
    const path = join(folder, name);
    try {
      const { mtimeMs: writtenAtMs } = await stat(path);
      return { checkpoints: decodeCheckpoints(await readFile(path), path), writtenAtMs };
    } catch (error) {
      if (errorCode(error) === "ENOENT") continue;
      if (errorCode(error) !== "ECHECKPOINT_DAMAGED") throw cannotRead("checkpoints", path, error);
      // The newest is looked at twice.
      if (!damaged.includes(errorMessage(error))) damaged.push(errorMessage(error));
    }
  }
  const why = damaged.length > 0 ? damaged.join("; ") : `there are no checkpoints in ${folder}`;
  throw new CodedError("ENOACCOUNTS", `Cannot audit: ${why}`);
}

async function readIfThere(path: string): Promise<JournalFile> {
  try {
    return { path, bytes: await readFile(path) };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return { path, bytes: Buffer.alloc(0) };
    throw cannotRead("loss records", path, error);
  }
}
