import { CodedError } from "../base/errors.ts";
import { agentConfigSchema } from "./agent-config.ts";
import { type LeafField, leafFields } from "./schema-fields.ts";

const PREFIX = "LOGAGENT_";
/** Variables with the prefix that are not options of the file. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(["LOGAGENT_CONFIG"]);

export interface Override {
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/** `["sink", "createTopics"]` → `LOGAGENT_SINK_CREATE_TOPICS`: the rule behind every variable's name. */
export function variableName(path: readonly string[]): string {
  return (
    PREFIX + path.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join("_")
  );
}

/**
 * The options set by `LOGAGENT_*` variables: lists separated by commas, `true` or `false`, numbers. `unknown` are variables
 * with the prefix that no option has (a container platform makes some up: worth a warning, not a refusal). Throws
 * CodedError "EBADCONFIG" for a value of the wrong kind.
 */
export function readOverrides(env: Readonly<Record<string, string | undefined>>): {
  readonly overrides: readonly Override[];
  readonly unknown: readonly string[];
} {
  const fields = new Map(leafFields(agentConfigSchema).map((field) => [variableName(field.path), field]));
  const overrides: Override[] = [];
  const unknown: string[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined || !variable.startsWith(PREFIX) || OTHER_VARIABLES.has(variable)) continue;
    const field = fields.get(variable);
    if (field === undefined) unknown.push(variable);
    else overrides.push({ variable, path: field.path, value: parse(variable, text, field.kind) });
  }
  return { overrides, unknown };
}

function parse(variable: string, text: string, kind: LeafField["kind"]): unknown {
  switch (kind) {
    case "string":
      return text;
    case "list":
      return text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "");
    case "boolean":
      if (text === "true" || text === "false") return text === "true";
      throw badVariable(variable, text, "true or false");
    case "number":
      if (/^-?\d+$/.test(text)) return Number(text);
      throw badVariable(variable, text, "a whole number");
    default:
      return kind satisfies never;
  }
}

function badVariable(variable: string, text: string, expected: string): CodedError<"EBADCONFIG"> {
  return new CodedError(
    "EBADCONFIG",
    `Cannot use variable ${variable}: it is ${JSON.stringify(text)}, expected ${expected}`,
  );
}
