import type { Command } from "commander";
import type { RangeOptions, SortTarget } from "../../store/client/operations.ts";
import { countOption } from "../count-option.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";

interface GetFlags {
  readonly consistency: string;
  readonly order: string;
  readonly sortBy: string;
  readonly limit: number;
  readonly rev: number;
  readonly prefix: boolean;
  readonly fromKey: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly printValueOnly: boolean;
  readonly minCreateRev: number;
  readonly maxCreateRev: number;
  readonly minModRev: number;
  readonly maxModRev: number;
}

/** `get [options] <key> [range_end]` */
export function addGet(program: Command, session: Session): void {
  const command = describeGet(program.command("get"));
  command.action(async (key: string | undefined, rangeEnd: string | undefined) => {
    const flags = command.opts<GetFlags>();
    const request = getRequest([key, rangeEnd], flags);
    if (flags.countOnly && session.formatName !== "fields") {
      throw new UsageError("--count-only is only for `--write-out=fields`");
    }
    if (flags.printValueOnly && session.formatName !== "simple") {
      throw new UsageError("print-value-only is only for `--write-out=simple`");
    }
    const write = session.writer("get");
    const client = await session.client();
    const result = await client.range(request.key, { ...request.options, signal: session.signal });
    write(result, { valueOnly: flags.printValueOnly });
  });
}

/** Arguments and flags of `get`, also as a line of `txn` has them. */
export function describeGet(command: Command): Command {
  return command
    .description("Gets the key or a range of keys")
    .argument("[key]")
    .argument("[range_end]")
    .option("--consistency <l|s>", "Linearizable(l) or Serializable(s)", "l")
    .option("--order <order>", "ASCEND or DESCEND", "")
    .option("--sort-by <target>", "CREATE, KEY, MODIFY, VALUE or VERSION", "")
    .option("--limit <n>", "at most this many keys", countOption, 0)
    .option("--prefix", "keys that start with the key", false)
    .option("--from-key", "keys from the key on, in byte order", false)
    .option("--rev <n>", "as of this revision", countOption, 0)
    .option("--keys-only", "only the keys", false)
    .option("--count-only", "only the count (with -w fields)", false)
    .option("--print-value-only", "only the values (with -w simple)", false)
    .option("--min-create-rev <n>", "created at this revision or later", countOption, 0)
    .option("--max-create-rev <n>", "created at this revision or earlier", countOption, 0)
    .option("--min-mod-rev <n>", "changed at this revision or later", countOption, 0)
    .option("--max-mod-rev <n>", "changed at this revision or earlier", countOption, 0);
}

/** Throws UsageError for what does not go together. */
export function getRequest(
  [key, rangeEnd]: readonly (string | undefined)[],
  flags: GetFlags,
): { readonly key: string; readonly options: RangeOptions } {
  if (key === undefined) {
    throw new UsageError("get command needs one argument as key and an optional argument as range_end");
  }
  checkRange(flags, rangeEnd);
  if (flags.keysOnly && flags.countOnly) {
    throw new UsageError("`--keys-only` and `--count-only` cannot be set at the same time, choose one");
  }
  checkBounds("CreateRev", flags.minCreateRev, flags.maxCreateRev);
  checkBounds("ModRev", flags.minModRev, flags.maxModRev);
  const sortOrder = sortOrderOf(flags.order);
  const options = {
    prefix: flags.prefix,
    fromKey: flags.fromKey,
    ...(rangeEnd === undefined ? {} : { rangeEnd }),
    limit: flags.limit,
    revision: Math.max(0, flags.rev),
    ...sortOptions(sortOrder, sortTargetOf(flags.sortBy)),
    serializable: isSerializable(flags.consistency),
    keysOnly: flags.keysOnly,
    countOnly: flags.countOnly,
    minCreateRevision: flags.minCreateRev,
    maxCreateRevision: flags.maxCreateRev,
    minModRevision: flags.minModRev,
    maxModRevision: flags.maxModRev,
  };
  return { key, options };
}

/** Throws UsageError when more than one way to say a range is used. */
export function checkRange(
  flags: { readonly prefix: boolean; readonly fromKey: boolean },
  rangeEnd: string | undefined,
): void {
  if (flags.prefix && flags.fromKey) {
    throw new UsageError("`--prefix` and `--from-key` cannot be set at the same time, choose one");
  }
  if (rangeEnd !== undefined && (flags.prefix || flags.fromKey)) {
    throw new UsageError(
      "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
    );
  }
}

export function isSerializable(consistency: string): boolean {
  if (consistency !== "s" && consistency !== "l") {
    throw new UsageError(`unknown consistency flag ${JSON.stringify(consistency)}`);
  }
  return consistency === "s";
}

function checkBounds(name: string, min: number, max: number): void {
  if (max > 0 && min > max) throw new UsageError(`getMin${name}(=${min}) > getMax${name}(=${max})`);
}

function sortOrderOf(text: string): "ascend" | "descend" | undefined {
  const order = text.toUpperCase();
  if (order === "") return undefined;
  if (order === "ASCEND") return "ascend";
  if (order === "DESCEND") return "descend";
  throw new UsageError(`bad sort order ${text}`);
}

const SORT_TARGETS: Readonly<Record<string, SortTarget>> = {
  "": "key",
  CREATE: "create",
  KEY: "key",
  MODIFY: "mod",
  VALUE: "value",
  VERSION: "version",
};

function sortTargetOf(text: string): SortTarget {
  const target = SORT_TARGETS[text.toUpperCase()];
  if (target === undefined) throw new UsageError(`bad sort target ${text}`);
  return target;
}

function sortOptions(
  sortOrder: "ascend" | "descend" | undefined,
  sortTarget: SortTarget,
): Pick<RangeOptions, "sortOrder" | "sortTarget"> {
  // By key, ascending, is what the index yields: asking for a sort would only cost the store one.
  const asIndexed = sortTarget === "key" && sortOrder === "ascend";
  return sortOrder === undefined || asIndexed ? { sortTarget } : { sortTarget, sortOrder };
}
