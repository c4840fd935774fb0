import { type Logger, pino } from "pino";

/** One line of the log, parsed. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A logger whose lines a test can read. */
export function recordedLog(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const options = { level: "trace", base: null, formatters: { level: (level: string) => ({ level }) } };
  const log = pino(options, { write: (text: string) => void lines.push(JSON.parse(text) as LogLine) });
  return { log, lines };
}
