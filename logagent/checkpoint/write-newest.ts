import { join } from "node:path";
import { writeFileAtomically } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { errorCode } from "../../base/errors.ts";
import { CURRENT_FILE, PREVIOUS_FILE } from "./read-newest.ts";

/** Replaces the checkpoints of a folder, and keeps those that were there as the previous ones. Gives the bytes written. */
export async function writeNewest(disk: Disk, folder: string, content: readonly Buffer[]): Promise<number> {
  const path = join(folder, CURRENT_FILE);
  try {
    await disk.rename(path, join(folder, PREVIOUS_FILE));
  } catch (error) {
    // After a failed write there is no current file, and the previous one is still the newest.
    if (errorCode(error) !== "ENOENT") throw error;
  }
  await writeFileAtomically(disk, path, content);
  return content.reduce((bytes, part) => bytes + part.byteLength, 0);
}
