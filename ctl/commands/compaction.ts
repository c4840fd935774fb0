import type { Command } from "commander";
import { parseCount } from "../go-text.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";

/** `compaction [options] <revision>` */
export function addCompaction(program: Command, session: Session): void {
  const command = program
    .command("compaction")
    .description("Compacts the event history")
    .argument("[revision]")
    .option("--physical", "wait until the old records are gone from the disk", false);
  command.action(async (text: string | undefined) => {
    if (text === undefined) throw new UsageError("compaction command needs 1 argument");
    const revision = parseCount(text);
    const client = await session.client();
    const { physical } = command.opts<{ readonly physical: boolean }>();
    await client.compact(revision, { physical, signal: session.signal });
    session.io.out(`compacted revision ${revision}\n`);
  });
}
