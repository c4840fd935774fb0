import { z } from "zod";

/**
 * Values as etcd's flags and config file write them: text from a flag or a variable, and also YAML's own numbers and
 * booleans. Each schema gives the parsed value.
 */
const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const DURATION = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)$/;

/** Go's strconv.ParseBool. */
export function isGoBoolean(text: string): boolean {
  return TRUE.has(text) || FALSE.has(text);
}

export const goBoolean = parsed((value) => {
  if (typeof value === "boolean") return value;
  if (TRUE.has(String(value))) return true;
  return FALSE.has(String(value)) ? false : undefined;
}, "true or false");

export const goText = parsed((value) => (typeof value === "string" ? value : String(value)), "text");

/** A whole number from `min` up to `max`, both included. */
export function goInteger(min: number, max: number) {
  return parsed((value) => {
    const text = String(value);
    const number = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    return Number.isSafeInteger(number) && number >= min && number <= max ? number : undefined;
  }, `a whole number from ${min} to ${max}`);
}

/** Go's time.ParseDuration, in milliseconds; a bare number, from YAML, is nanoseconds, as etcd reads it there. */
export const goDuration = parsed((value) => {
  if (typeof value === "number") return value * 1e-6;
  return parseGoDuration(String(value));
}, 'a duration such as "10m", "1h30m" or "500ms"');

/** Milliseconds of "1h30m"; undefined when it is not a duration. */
export function parseGoDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of (match[2] ?? "").matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
  }
  return match[1] === "-" ? -totalMs : totalMs;
}

/** Comma-separated URLs, each once, sorted (etcd pkg/flags UniqueURLs); empty text is an empty list. */
export const urlList = z.unknown().transform((value, context): readonly string[] => {
  const texts = String(value)
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "");
  for (const text of texts) {
    const problem = urlProblem(text);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  }
  return [...new Set(texts)].sort();
});

/** What is wrong with a URL of etcd's kind (etcd client/pkg/types NewURLs); undefined when nothing is. */
function urlProblem(text: string): string | undefined {
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/?#]*)([/?#].*)?$/.exec(text);
  if (match === null) return `a URL such as http://127.0.0.1:2379, not "${text}"`;
  const [, scheme = "", hostPort = "", path = ""] = match;
  if (!["http", "https", "unix", "unixs"].includes(scheme)) {
    return `a URL with the scheme http or https, not "${scheme}" as in "${text}"`;
  }
  if (scheme.startsWith("unix")) return undefined;
  if (
    !/^(\[[0-9a-fA-F:.%]+\]|[^:[\]@\s]+):\d{1,5}$/.test(hostPort) ||
    Number(hostPort.split(":").at(-1)) > 65_535
  ) {
    return `a URL with host and port, such as http://127.0.0.1:2379, not "${text}"`;
  }
  return path === "" ? undefined : `a URL without a path, not "${text}"`;
}

function parsed<Value>(parse: (value: unknown) => Value | undefined, expected: string) {
  return z.unknown().transform((value, context): Value => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });
}
