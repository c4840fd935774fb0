import { join } from "node:path";
import { writeFileAtomically } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { errorCode } from "../../base/errors.ts";
import { CURRENT_FILE, PREVIOUS_FILE } from "./read-newest.ts";

/** Replaces the checkpoints of a folder, and keeps those that were there as the previous ones. */
export async function writeNewest(disk: Disk, folder: string, bytes: Buffer): Promise<void> {
  const path = join(folder, CURRENT_FILE);
  try {
    await disk.rename(path, join(folder, PREVIOUS_FILE));
  } catch (error) {
    // After a failed write there is no current file, and the previous one is still the newest.
    if (errorCode(error) !== "ENOENT") throw error;
  }
  await writeFileAtomically(disk, path, bytes);
}
