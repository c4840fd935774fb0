import type { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import type { DeleteOptions } from "../../store/client/operations.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";
import { checkRange } from "./get.ts";

interface DelFlags {
  readonly prefix: boolean;
  readonly fromKey: boolean;
  readonly prevKv: boolean;
  readonly range: boolean;
}

/** Time to think again before a whole range is deleted. */
const SECOND_THOUGHT_MS = 2_000;

/** `del [options] <key> [range_end]` */
export function addDel(program: Command, session: Session): void {
  const command = describeDel(program.command("del"));
  command.action(async (key: string | undefined, rangeEnd: string | undefined) => {
    const flags = command.opts<DelFlags>();
    const request = delRequest([key, rangeEnd], flags);
    const write = session.writer("del");
    if (rangeEnd !== undefined && !flags.range) {
      session.io.err(
        `Warning: Keys between ${JSON.stringify(key)} and ${JSON.stringify(rangeEnd)} will be deleted. Please interrupt ` +
          "the command within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n",
      );
      await systemClock.sleep(SECOND_THOUGHT_MS, { signal: session.signal });
    }
    const client = await session.client();
    write(await client.delete(request.key, { ...request.options, signal: session.signal }));
  });
}

/** Arguments and flags of `del`, also as a line of `txn` has them. */
export function describeDel(command: Command): Command {
  return command
    .description("Removes the specified key or range of keys [key, range_end)")
    .argument("[key]")
    .argument("[range_end]")
    .option("--prefix", "keys that start with the key", false)
    .option("--from-key", "keys from the key on, in byte order", false)
    .option("--prev-kv", "answer with what was there", false)
    .option("--range", "delete a range without waiting", false);
}

/** Throws UsageError for what does not go together. */
export function delRequest(
  [key, rangeEnd]: readonly (string | undefined)[],
  flags: DelFlags,
): { readonly key: string; readonly options: DeleteOptions } {
  if (key === undefined) {
    throw new UsageError("del command needs one argument as key and an optional argument as range_end");
  }
  checkRange(flags, rangeEnd);
  const { prefix, fromKey, prevKv } = flags;
  return { key, options: { prefix, fromKey, prevKv, ...(rangeEnd === undefined ? {} : { rangeEnd }) } };
}
