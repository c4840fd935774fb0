import { readWholeFile } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { errorCode } from "../../base/errors.ts";
import { audit } from "../../logagent/audit/audit.ts";
import { decodeCheckpoints } from "../../logagent/checkpoint/checkpoint-codec.ts";
import { decodeJournal } from "../../logagent/checkpoint/decode-journal.ts";
import { LOSSES_FILE, LOSSES_PREVIOUS_FILE } from "../../logagent/checkpoint/loss-journal.ts";
import { CURRENT_FILE, PREVIOUS_FILE } from "../../logagent/checkpoint/read-newest.ts";
import { hold } from "../support/violation.ts";

/** What is on the agent's disk adds up, wherever it ended. */
export async function checkWritten(disk: Disk, folder: string): Promise<void> {
  const read = (name: string) => readIfThere(disk, `${folder}/${name}`);
  const newest = (await read(CURRENT_FILE)) ?? (await read(PREVIOUS_FILE));
  if (newest === undefined) return;
  const checkpoints = decodeCheckpoints(newest, folder);
  const bytes = (await read(LOSSES_FILE)) ?? Buffer.alloc(0);
  const { losses, damaged } = decodeJournal(
    {
      previous: { path: LOSSES_PREVIOUS_FILE, bytes: Buffer.alloc(0) },
      current: { path: LOSSES_FILE, bytes },
    },
    checkpoints.losses,
  );
  const byNumber = new Map(losses.map((loss) => [loss.number, loss]));
  const { problems } = audit(
    { checkpoints, losses: byNumber, damaged, writtenAtMs: 0 },
    { places: new Map(), hasAgent: true },
  );
  hold(
    "what is written adds up",
    problems.length === 0,
    () => `${problems.join("\n")}; journal: ${JSON.stringify(losses)}`,
  );
}

async function readIfThere(disk: Disk, path: string): Promise<Buffer | undefined> {
  try {
    return await readWholeFile(disk, path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
