import { styleText } from "node:util";

type Color = Parameters<typeof styleText>[0];

/** pino's levels: number → name and colour. */
const LEVELS: ReadonlyMap<number, { readonly name: string; readonly color: Color }> = new Map([
  [10, { name: "TRACE", color: "gray" }],
  [20, { name: "DEBUG", color: "gray" }],
  [30, { name: "INFO", color: "green" }],
  [40, { name: "WARN", color: "yellow" }],
  [50, { name: "ERROR", color: "red" }],
  [60, { name: "FATAL", color: "magenta" }],
]);
/** Said by the line's other parts, or the same on each line. */
const NOT_SHOWN = new Set(["time", "level", "msg", "daemon", "stack"]);
const LEVEL_WIDTH = 5;

/**
 * A line of a pino log for a person: time of day, level in its colour, message, and the fields as key=value; a stack
 * follows on lines of its own. What is no such line (a crash of Node) comes back as it is. Colours are left out when
 * stdout is no terminal.
 */
export function readableLine(line: string): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const level = LEVELS.get(Number(record.level)) ?? { name: String(record.level), color: "white" as const };
  const fields = Object.entries(record)
    .filter(([key]) => !NOT_SHOWN.has(key))
    .map(
      ([key, value]) =>
        styleText("dim", `${key}=`) + (typeof value === "string" ? value : JSON.stringify(value)),
    );
  const stack = typeof record.stack === "string" ? [styleText("dim", `\n${record.stack}`)] : [];
  return [
    styleText("dim", timeOfDay(record.time)),
    styleText(level.color, level.name.padEnd(LEVEL_WIDTH)),
    String(record.msg ?? ""),
    ...fields,
    ...stack,
  ].join(" ");
}

function parseRecord(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const record: unknown = JSON.parse(line);
    return typeof record === "object" && record !== null && "level" in record ? { ...record } : undefined;
  } catch {
    return undefined;
  }
}

/** From ISO 8601, which the members write in UTC. */
function timeOfDay(time: unknown): string {
  return typeof time === "string" ? time.slice(time.indexOf("T") + 1).replace("Z", "") : "";
}
