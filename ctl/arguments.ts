import type { Command, Option } from "commander";

/**
 * Arranges a command line written for etcdctl for commander: `--flag=true` and `--flag=false` of flags that take no value
 * become the flag, or nothing; what follows `--` on a `watch` is not for us to read.
 */
export function arrangeArguments(program: Command, argv: readonly string[]): string[] {
  const separator = argv.indexOf("--");
  const ours = separator < 0 ? argv : argv.slice(0, separator);
  const literal = separator < 0 || isWatch(argv) ? [] : argv.slice(separator);
  const booleans = new Set(booleanFlags(program));
  const arranged = ours.flatMap((word) => {
    const [, flag = "", value = ""] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? [];
    if (!booleans.has(flag)) return [word];
    if (["true", "t", "1"].includes(value.toLowerCase())) return [flag];
    if (["false", "f", "0"].includes(value.toLowerCase())) {
      return flag === "--insecure-transport" ? ["--no-insecure-transport"] : [];
    }
    return [word];
  });
  return [...arranged, ...literal];
}

/** The command to run for each event: what follows `--` on a `watch`. */
export function watchExecArgs(argv: readonly string[]): readonly string[] {
  const separator = argv.indexOf("--");
  return separator < 0 || !isWatch(argv) ? [] : argv.slice(separator + 1);
}

function isWatch(argv: readonly string[]): boolean {
  const verb = argv.indexOf("watch");
  const separator = argv.indexOf("--");
  return verb >= 0 && verb < separator;
}

function booleanFlags(command: Command): string[] {
  const own = command.options
    .filter((option: Option) => option.isBoolean())
    .map((option) => option.long ?? "");
  return [...own, ...command.commands.flatMap(booleanFlags)];
}
