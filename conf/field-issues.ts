import type { z } from "zod";
import { nearestHint } from "./nearest.ts";
import { fieldNamesAt } from "./schema-fields.ts";

/** What is wrong with one field, as a clause that names it and gives the expected and the actual value. */
export interface FieldIssue {
  /** Where; for an unknown field its own name is the last step. */
  readonly path: readonly PropertyKey[];
  readonly sentence: string;
}

/** Longest piece of a bad value that is repeated in a message, in characters. */
const SHOWN_VALUE_CHARACTERS_MAX = 80;

export type Parsed<Value> =
  | { readonly kind: "valid"; readonly value: Value }
  | { readonly kind: "invalid"; readonly issues: readonly FieldIssue[] };

/** `input` by the schema, or the schema's complaints in our words: zod's own speak of its types, not of the fields. */
export function parseFields<Value>(schema: z.ZodType<Value>, input: unknown): Parsed<Value> {
  const result = schema.safeParse(input);
  if (result.success) return { kind: "valid", value: result.data };
  const issues = result.error.issues.flatMap((issue): FieldIssue[] => {
    if (issue.code === "unrecognized_keys") {
      const known = fieldNamesAt(schema, issue.path);
      return issue.keys.map((key) => ({
        path: [...issue.path, key],
        sentence: `unknown field "${fieldName([...issue.path, key])}"${nearestHint(key, known)}`,
      }));
    }
    return [{ path: issue.path, sentence: sentenceOf(issue, input) }];
  });
  return { kind: "invalid", issues };
}

/** `sink.brokers[1]`; the empty path is "the value". */
export function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, step) =>
      typeof step === "number" ? `${name}[${step}]` : name === "" ? String(step) : `${name}.${String(step)}`,
    "",
  );
}

/** A value as a person would name it: `"abc"`, `3`, `null`, `a list`, `an object`. */
export function shownValue(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_VALUE_CHARACTERS_MAX ? `${text.slice(0, SHOWN_VALUE_CHARACTERS_MAX)}…` : text;
}

function sentenceOf(issue: z.core.$ZodIssue, input: unknown): string {
  const actual = valueAt(input, issue.path);
  const subject = issue.path.length === 0 ? "the value" : `field "${fieldName(issue.path)}"`;
  if (actual === undefined) return `${subject} is missing, expected ${expected(issue)}`;
  const isSecret = /password|secret/i.test(String(issue.path.at(-1) ?? ""));
  return `${subject} is ${isSecret ? "not usable" : shownValue(actual)}, expected ${expected(issue)}`;
}

function expected(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPE_NAMES[issue.expected] ?? issue.expected;
    case "invalid_value":
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "too_small":
      return `${issue.minimum} or more${unitOf(issue.origin)}`;
    case "too_big":
      return `${issue.maximum} or less${unitOf(issue.origin)}`;
    default:
      return issue.message;
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

function unitOf(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " items" : "";
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}
