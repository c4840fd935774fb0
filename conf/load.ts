import { readFile } from "node:fs/promises";
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import { CodedError } from "../base/errors.ts";
import { type AgentConfig, agentConfigSchema } from "./agent-config.ts";
import { type Override, readOverrides } from "./env-overrides.ts";
import { type FieldIssue, parseFields, shownValue } from "./field-issues.ts";
import { fileProblem } from "./file-problem.ts";
import { fieldNamesAt } from "./schema-fields.ts";

/** A further test of a config that fits the schema. */
export type AgentConfigCheck = (config: AgentConfig) => readonly FieldIssue[];

export interface LoadedAgentConfig {
  readonly config: AgentConfig;
  /** Sentences for the log: what was ignored. */
  readonly warnings: readonly string[];
}

/** Largest config file that is read, in bytes. */
const FILE_BYTES_MAX = 1024 * 1024;

/**
 * Reads the agent's YAML file with its `LOGAGENT_*` overrides. Throws CodedError "EBADCONFIG" whose message names the
 * file, line, column and field of every mistake, or the variable that made it.
 */
export async function loadAgentConfig(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  check?: AgentConfigCheck,
): Promise<LoadedAgentConfig> {
  return parseAgentConfig({ path, text: await readText(path) }, env, check);
}

/** As {@link loadAgentConfig}, from the text of the file. */
export function parseAgentConfig(
  file: { readonly path: string; readonly text: string },
  env: Readonly<Record<string, string | undefined>>,
  check: AgentConfigCheck = () => [],
): LoadedAgentConfig {
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines, prettyErrors: false });
  const syntaxError = document.errors[0];
  if (syntaxError !== undefined) {
    const { line, col } = lines.linePos(syntaxError.pos[0]);
    throw badFile(file.path, [`line ${line}, column ${col}: not YAML: ${syntaxError.message}`]);
  }
  const { overrides, unknown } = readOverrides(env);
  const input = withOverrides(withoutEmptySections(toObject(file.path, document)), overrides);
  const parsed = parseFields(agentConfigSchema, input);
  const issues = parsed.kind === "invalid" ? parsed.issues : check(parsed.value);
  if (parsed.kind === "invalid" || issues.length > 0) {
    throw badFile(
      file.path,
      issues.map((issue) => `${placeOf(issue, document, lines, overrides)}: ${issue.sentence}`),
    );
  }
  return {
    config: parsed.value,
    warnings: unknown.map((name) => `Variable ${name} is ignored: no option has it`),
  };
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.byteLength > FILE_BYTES_MAX) {
      throw badFile(path, [`it has ${bytes.byteLength} bytes, expected at most ${FILE_BYTES_MAX}`]);
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError("EBADCONFIG", `Cannot read config file ${path}: ${fileProblem(error)}`, {
      cause: error,
    });
  }
}

function toObject(path: string, document: Document): Record<string, unknown> {
  const value: unknown = document.toJS({ maxAliasCount: 100 }) ?? {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badFile(path, [
      `the file holds ${shownValue(value)}, expected fields such as "store:" and "sink:"`,
    ]);
  }
  return value as Record<string, unknown>;
}

/** A heading whose options are all commented out is null in YAML; it means the section with its defaults. */
function withoutEmptySections(
  object: Record<string, unknown>,
  path: readonly string[] = [],
): Record<string, unknown> {
  const sections = Object.entries(object).map(([name, value]): [string, unknown] => {
    const at = [...path, name];
    if (fieldNamesAt(agentConfigSchema, at).length === 0) return [name, value];
    if (value === null) return [name, {}];
    const isObject = typeof value === "object" && !Array.isArray(value);
    return [name, isObject ? withoutEmptySections(value as Record<string, unknown>, at) : value];
  });
  return Object.fromEntries(sections);
}

function withOverrides(
  input: Record<string, unknown>,
  overrides: readonly Override[],
): Record<string, unknown> {
  return overrides.reduce((object, { path, value }) => withValueAt(object, path, value), input);
}

function withValueAt(object: unknown, path: readonly string[], value: unknown): Record<string, unknown> {
  const isObject = typeof object === "object" && object !== null && !Array.isArray(object);
  const fields = (isObject ? object : {}) as Record<string, unknown>;
  const [name = "", ...rest] = path;
  return { ...fields, [name]: rest.length === 0 ? value : withValueAt(fields[name], rest, value) };
}

function placeOf(
  issue: FieldIssue,
  document: Document,
  lines: LineCounter,
  overrides: readonly Override[],
): string {
  const byVariable = overrides.find((override) =>
    override.path.every((name, depth) => issue.path[depth] === name),
  );
  if (byVariable !== undefined) return `variable ${byVariable.variable}`;
  const offset = offsetOf(document, issue.path);
  if (offset === undefined) return "the file";
  const { line, col } = lines.linePos(offset);
  return `line ${line}, column ${col}`;
}

/** Where the deepest part of a path starts in the file: a field's name, or a list's item. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    const step = path[depth - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
      if (isNode(pair?.key) && pair.key.range) return pair.key.range[0];
    }
    const node = document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return undefined;
}

function badFile(path: string, problems: readonly string[]): CodedError<"EBADCONFIG"> {
  return new CodedError("EBADCONFIG", `Cannot use config file ${path}: ${problems.join("; ")}`);
}
