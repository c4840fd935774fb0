import { type Logger, pino } from "pino";

export type { Logger } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * The one pino root of a process, made in its `main`; everything else gets a child with fixed fields. JSON lines to
 * stderr, so that what a command prints for a program stays alone on stdout. WARN: recovered, nothing lost. ERROR: data
 * at risk, or a person is needed.
 */
export function createLogger(options: { readonly name: string; readonly level: LogLevel }): Logger {
  return pino(
    { level: options.level, timestamp: pino.stdTimeFunctions.isoTime, base: null },
    pino.destination({ fd: 2, sync: true }),
  ).child({ daemon: options.name });
}
