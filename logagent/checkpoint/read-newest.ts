import { join } from "node:path";
import { readWholeFile } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { errorCode, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { newRemovedSums } from "./account.ts";
import { cannotRead } from "./cannot-read.ts";
import { type CheckpointContent, decodeCheckpoints } from "./checkpoint-codec.ts";

export const CURRENT_FILE = "checkpoints";
export const PREVIOUS_FILE = "checkpoints.previous";

const NOTHING: CheckpointContent = {
  records: [],
  entries: new Map(),
  removed: newRemovedSums(),
  losses: 0,
  isClosed: true,
};

/**
 * Reads the newest checkpoints of a folder that are whole; `isLost`: there were some, and none can be used. Throws CodedError
 * "ECHECKPOINT_VERSION" when they are of a newer version, and "EUNREADABLE" when they cannot be read at all.
 */
export async function readNewest(options: {
  readonly folder: string;
  readonly disk: Disk;
  readonly logger: Logger;
}): Promise<{ readonly content: CheckpointContent; readonly isLost: boolean }> {
  const { folder, disk, logger } = options;
  let damaged = 0;
  for (const name of [CURRENT_FILE, PREVIOUS_FILE]) {
    const path = join(folder, name);
    try {
      const content = decodeCheckpoints(await readWholeFile(disk, path), path);
      if (damaged === 0) return { content, isLost: false };
      logger.warn({ path }, "previous checkpoints are used; some lines are sent again");
      // What was sent since they were written is known to nobody.
      return { content: { ...content, isClosed: false }, isLost: false };
    } catch (error) {
      if (errorCode(error) === "ENOENT") continue;
      if (errorCode(error) !== "ECHECKPOINT_DAMAGED") throw cannotRead("checkpoints", path, error);
      damaged += 1;
      logger.error({ path, reason: errorMessage(error) }, "checkpoints are damaged");
    }
  }
  if (damaged > 0) logger.error({ folder }, "no checkpoints can be used; every file is read again");
  return { content: NOTHING, isLost: damaged > 0 };
}
