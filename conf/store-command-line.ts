import { CodedError } from "../base/errors.ts";
import { BOOLEAN_FLAGS, FLAGS_REFUSED, FLAGS_WITHOUT_EFFECT } from "./etcd-flags.ts";
import { nearestHint } from "./nearest.ts";
import { COMMAND_FLAGS, storeFlagsSchema } from "./store-config.ts";

/** A value as it was given, and where, for messages ("--name", "ETCD_NAME", `key "name" of /etc/etcd.yaml`). */
export interface GivenValue {
  readonly value: unknown;
  readonly origin: string;
}

/** By flag name. */
export type GivenValues = ReadonlyMap<string, GivenValue>;

/** Wrong usage: the command ends with exit code 2 and this message. */
export class UsageError extends CodedError<"EUSAGE"> {
  override readonly name = "UsageError";

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("EUSAGE", message, options);
  }
}

/** Every name that is understood, in order. */
export const KNOWN_FLAGS: readonly string[] = [
  ...Object.keys(storeFlagsSchema.shape),
  ...Object.keys(COMMAND_FLAGS),
  ...FLAGS_WITHOUT_EFFECT,
  ...Object.keys(FLAGS_REFUSED),
].sort();

const known: ReadonlySet<string> = new Set(KNOWN_FLAGS);

/**
 * Reads flags as Go's `flag` package does, which etcd uses: one or two dashes, `--flag=value` or `--flag value`, booleans
 * without a value, the last of several counts. (Parsers for Node read `-name` as five letters.) Throws UsageError.
 */
export function readFlags(argv: readonly string[]): GivenValues {
  const given = new Map<string, GivenValue>();
  const rest = [...argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(argument);
    if (match === null) throw new UsageError(`Cannot read command line: "${argument}" is not a valid flag`);
    const name = match[1] === "h" ? "help" : (match[1] ?? "");
    if (!known.has(name)) {
      throw new UsageError(`Cannot read command line: unknown flag --${name}${hint(name)}`);
    }
    let value = match[2];
    if (value === undefined && BOOLEAN_FLAGS.has(name)) value = "true";
    value ??= rest.shift();
    if (value === undefined) throw new UsageError(`Cannot read command line: flag --${name} needs a value`);
    given.set(name, { value, origin: `--${name}` });
  }
  return given;
}

/** Reads `ETCD_*` variables; an empty one counts as not set, as in etcd. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): {
  readonly given: GivenValues;
  /** Variables that look like settings and are none. */
  readonly unknown: readonly string[];
} {
  const given = new Map<string, GivenValue>();
  const unknown: string[] = [];
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith("ETCD_") || value === undefined || value === "") continue;
    const name = variable.slice("ETCD_".length).toLowerCase().replaceAll("_", "-");
    if (known.has(name) && name !== "version" && name !== "help")
      given.set(name, { value, origin: variable });
    else unknown.push(variable);
  }
  return { given, unknown };
}

/** Reads the document of a config file (etcd's keys are its flags' names). Throws UsageError for an unknown key. */
export function readConfigDocument(document: unknown, path: string): GivenValues {
  const given = new Map<string, GivenValue>();
  if (document === null || document === undefined) return given;
  if (typeof document !== "object" || Array.isArray(document)) {
    throw new UsageError(`Cannot use config file ${path}: it is not a mapping of keys to values`);
  }
  for (const [key, value] of Object.entries(document)) {
    if (!known.has(key) || key in COMMAND_FLAGS) {
      throw new UsageError(`Cannot use config file ${path}: unknown key "${key}"${hint(key)}`);
    }
    if (value === null) continue;
    const text = Array.isArray(value) ? value.join(",") : value;
    given.set(key, { value: text, origin: `key "${key}" of ${path}` });
  }
  return given;
}

function hint(name: string): string {
  const nearest = nearestHint(name, KNOWN_FLAGS);
  return nearest.startsWith(", known are") ? "; --help lists the known ones" : nearest;
}
