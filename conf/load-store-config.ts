import { readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { errorMessage } from "../base/errors.ts";
import { FLAGS_REFUSED, FLAGS_WITHOUT_EFFECT } from "./etcd-flags.ts";
import { gatesWithoutEffect } from "./feature-gates.ts";
import { isGoBoolean } from "./go-values.ts";
import {
  type GivenValues,
  readConfigDocument,
  readEnvironment,
  readFlags,
  UsageError,
} from "./store-command-line.ts";
import { COMMAND_FLAGS, storeFlagsSchema } from "./store-config.ts";
import { type StoreSettings, storeSettings } from "./store-settings.ts";

/** What a command line asks for. */
export type StoreCommand =
  | { readonly kind: "version" }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "run"; readonly settings: StoreSettings; readonly warnings: readonly ConfigWarning[] };

/** Something that was given and does not count; logged once there is a log. */
export interface ConfigWarning {
  readonly message: string;
  readonly names: readonly string[];
}

const without: ReadonlySet<string> = new Set(FLAGS_WITHOUT_EFFECT);

/**
 * Reads flags, `ETCD_*` variables and the config file with etcd's precedence: a flag counts before its variable; with a
 * config file neither counts. Throws UsageError.
 */
export function loadStoreConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): StoreCommand {
  const flags = readFlags(argv);
  if (isTrue(flags, "help")) return { kind: "help", text: helpText() };
  if (isTrue(flags, "version")) return { kind: "version" };
  const variables = readEnvironment(environment);
  const warnings: ConfigWarning[] = [];
  const path = flags.get("config-file") ?? variables.given.get("config-file");
  const given =
    path === undefined ? new Map([...variables.given, ...flags]) : readConfigFile(String(path.value));
  if (path !== undefined) {
    const ignored = [...variables.given, ...flags].map(([, { origin }]) => origin);
    warn(
      warnings,
      "ignored flags and variables, because the config file alone counts",
      ignored.filter((origin) => origin !== path.origin),
    );
  }
  warn(warnings, "unknown ETCD_ variables", variables.unknown);
  const idle = [...given].filter(([name]) => without.has(name)).map(([, { origin }]) => origin);
  warn(warnings, "settings of etcd that have no effect here", [...idle, ...idleGates(given)]);
  for (const [name, { value, origin }] of given) refuseBetrayal(name, value, origin);
  const effective = [...given].filter(([name]) => name in storeFlagsSchema.shape);
  return { kind: "run", settings: storeSettings(new Map(effective)), warnings };
}

/** `--feature-gates LeaseCheckpoint`. */
function idleGates(given: GivenValues): readonly string[] {
  const gates = given.get("feature-gates");
  if (gates === undefined) return [];
  return gatesWithoutEffect(String(gates.value)).map((name) => `${gates.origin} ${name}`);
}

function warn(warnings: ConfigWarning[], message: string, names: readonly string[]): void {
  if (names.length > 0) warnings.push({ message, names });
}

function isTrue(given: GivenValues, name: string): boolean {
  const flag = given.get(name);
  if (flag === undefined) return false;
  const result = COMMAND_FLAGS.version.schema.safeParse(flag.value);
  if (!result.success)
    throw new UsageError(`Cannot use --${name} "${String(flag.value)}": expected true or false`);
  return result.data;
}

function readConfigFile(path: string): GivenValues {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`Cannot use config file ${path}: ${errorMessage(error)}`, { cause: error });
  }
  return readConfigDocument(document, path);
}

/** Refused unless its value is the same as not setting it: empty, or false. */
function refuseBetrayal(name: string, value: unknown, origin: string): void {
  const reason = FLAGS_REFUSED[name];
  if (reason === undefined) return;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const isUnset = text === "" || text === "{}" || (isGoBoolean(text) && /^(0|f)/i.test(text));
  // etcd's default, which scripts repeat.
  const isDefault = name === "discovery-insecure-transport" || (name === "host-whitelist" && text === "*");
  if (!isUnset && !isDefault) throw new UsageError(`Cannot use ${origin}: ${reason}`);
}

/** Every flag that has an effect, with its default and what it does. */
function helpText(): string {
  const lines = [
    "Usage: logstore [flags]",
    "",
    "Flags (also as ETCD_* variables, and as keys of --config-file):",
    "",
  ];
  for (const [name, schema] of Object.entries(storeFlagsSchema.shape)) {
    lines.push(`  --${name} '${shownDefault(schema.parse(undefined))}'`, `      ${schema.description ?? ""}`);
  }
  for (const [name, { doc }] of Object.entries(COMMAND_FLAGS)) lines.push(`  --${name}`, `      ${doc}`);
  lines.push("", "Accepted without effect, for scripts written for etcd:", "");
  lines.push(`  ${FLAGS_WITHOUT_EFFECT.map((name) => `--${name}`).join(" ")}`);
  return `${lines.join("\n")}\n`;
}

function shownDefault(value: unknown): string {
  return Array.isArray(value) ? value.join(",") : String(value);
}
