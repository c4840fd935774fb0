import { stringify } from "yaml";
import { agentConfigSchema } from "./agent-config.ts";
import { variableName } from "./env-overrides.ts";
import { type LeafField, leafFields } from "./schema-fields.ts";

const HEAD = [
  "# The agent's config: every option with its default. A file needs to hold only what differs.",
  "# Each option can be set by the variable in brackets instead, which counts more than the file; lists have commas there.",
];

/** The agent's config with every option, its default and its doc, as YAML: written from the schema, so that it is true. */
export function exampleAgentConfig(): string {
  const lines = [...HEAD];
  let sections: readonly string[] = [];
  for (const field of leafFields(agentConfigSchema)) {
    const parents = field.path.slice(0, -1);
    if (parents.length === 0 || !startsWith(sections, parents)) lines.push("");
    lines.push(...openSections(sections, parents), ...optionLines(field));
    sections = parents;
  }
  return `${lines.join("\n")}\n`;
}

function startsWith(path: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((name, depth) => path[depth] === name);
}

/** The headings of `parents` that the option before did not stand under. */
function openSections(before: readonly string[], parents: readonly string[]): string[] {
  const shared = parents.findIndex((name, depth) => before[depth] !== name);
  if (shared === -1) return [];
  return parents.slice(shared).map((name, index) => `${indent(shared + index)}${name}:`);
}

function optionLines({ path, description, defaultValue }: LeafField): string[] {
  const space = indent(path.length - 1);
  const name = path.at(-1) as string;
  const value = defaultValue === undefined ? undefined : inlineYaml(defaultValue);
  return [
    `${space}# ${description === "" ? "" : `${description} `}[${variableName(path)}]`,
    value === undefined ? `${space}# ${name}: `.trimEnd() : `${space}${name}: ${value}`,
  ];
}

function inlineYaml(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", flowCollectionPadding: false, lineWidth: 0 }).trimEnd();
}

function indent(depth: number): string {
  return "  ".repeat(depth);
}
