import type { Output } from "./output.ts";

const LEVELS: readonly string[] = ["debug", "info", "warn", "error", "fatal", "none"];

/**
 * Our core logs nothing, so that all levels are one; but "none" silences what the commands print, too. Returns the
 * reference's refusal of a level that there is not.
 */
export function setLogLevel(output: Output, name: string): string | undefined {
  const level = name.toLowerCase();
  if (!LEVELS.includes(level)) return `log levels must be either of [${LEVELS.join(" ").toUpperCase()}]`;
  output.isQuiet = level === "none";
  return undefined;
}
