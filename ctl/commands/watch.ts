import { Command } from "commander";
import { countOption } from "../count-option.ts";
import { readLines } from "../io.ts";
import type { Session } from "../session.ts";
import { splitWords } from "../txn-lines.ts";
import { CommandFailed, UsageError } from "../usage-error.ts";
import { followWatch, type WatchWanted } from "../watch-output.ts";

interface WatchFlags {
  readonly interactive: boolean;
  readonly prefix: boolean;
  readonly rev: number;
  readonly prevKv: boolean;
  readonly progressNotify: boolean;
}

/** `watch [options] [key] [range_end] [-- command arg …]`; `-i` reads `watch …` lines from standard input. */
export function addWatch(program: Command, session: Session): void {
  const command = describeWatch(program.command("watch"));
  command.action(async () => {
    const flags = command.opts<WatchFlags>();
    if (flags.interactive) return watchLines(session);
    await followWatch(session, watchWanted(command.args, { flags, session, execArgs: session.execArgs }));
    throw new CommandFailed("watch is canceled by the server");
  });
}

function describeWatch(command: Command): Command {
  return command
    .description("Watches events stream on keys or prefixes")
    .argument("[key]")
    .argument("[range_end]")
    .option("-i, --interactive", "read what to watch from standard input", false)
    .option("--prefix", "keys that start with the key", false)
    .option("--rev <n>", "from this revision on", countOption, 0)
    .option("--prev-kv", "with what was there before", false)
    .option("--progress-notify", "tell now and then how far the store is", false);
}

/** Throws UsageError. The key may come from the environment, and then not from the arguments. */
function watchWanted(
  args: readonly string[],
  at: { readonly flags: WatchFlags; readonly session: Session; readonly execArgs: readonly string[] },
): WatchWanted {
  const { flags, session } = at;
  const { ETCDCTL_WATCH_KEY: envKey = "", ETCDCTL_WATCH_RANGE_END: envEnd = "" } = session.io.env;
  if (envKey === "" && envEnd !== "") {
    throw new UsageError(
      `ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${JSON.stringify(envEnd)}`,
    );
  }
  if (envKey !== "" && args.length > 0) {
    throw new UsageError("bad number of arguments (found conflicting environment key)");
  }
  const [key, rangeEnd] = envKey === "" ? args : [envKey, envEnd === "" ? undefined : envEnd];
  if (key === undefined) throw new UsageError("bad number of arguments");
  if (rangeEnd !== undefined && flags.prefix) {
    throw new UsageError("`range_end` and `--prefix` are mutually exclusive");
  }
  return {
    key,
    rangeEnd,
    prefix: flags.prefix,
    startRevision: flags.rev,
    prevKv: flags.prevKv,
    progressNotify: flags.progressNotify,
    execArgs: at.execArgs,
  };
}

/** Each line starts a watch beside those that run; ends with the input, as etcdctl does. */
async function watchLines(session: Session): Promise<void> {
  const failed = Promise.withResolvers<never>();
  const read = async () => {
    for await (const line of readLines(session.io.input)) {
      const wanted = await parseLine(session, line.trim());
      if (wanted !== undefined) followWatch(session, wanted).catch(failed.reject);
    }
    throw new CommandFailed("error reading watch request line: EOF");
  };
  await Promise.race([read(), failed.promise]);
}

/** Undefined: not a watch, which was said on stderr. */
async function parseLine(session: Session, line: string): Promise<WatchWanted | undefined> {
  const [verb, ...words] = splitWords(line);
  if (verb !== "watch") {
    const reason = verb === undefined ? "watch supported" : "only support watch";
    session.io.err(`Invalid command ${line} (${reason})\n`);
    return undefined;
  }
  const separator = words.indexOf("--");
  const execArgs = separator < 0 ? [] : words.slice(separator + 1);
  const command = describeWatch(
    new Command("watch").exitOverride().configureOutput({ writeErr: session.io.err }),
  );
  await command.parseAsync(separator < 0 ? words : words.slice(0, separator), { from: "user" });
  return watchWanted(command.args, { flags: command.opts<WatchFlags>(), session, execArgs });
}
