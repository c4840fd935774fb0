import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/**
 * One step of a data-driven script (the format of github.com/cockroachdb/datadriven): the directive line, the input below
 * it up to `----`, and the expected output behind that.
 *
 *     # A comment.
 *     committed cfg=(1,2,3) cfgj=zero idx=(100,101,99)
 *     ----
 *     100
 *
 * The output ends at the first blank line, or, if it begins with a second `----`, at two lines `----`.
 */
export interface Directive {
  /** `FILE:LINE` of the directive line, for messages. */
  readonly position: string;
  /** Its first word: `committed`. */
  readonly command: string;
  /** The other words, in order: `key`, `key=value` or `key=(value, …)`. A key may come more than once. */
  readonly args: readonly DirectiveArg[];
  /** Without white space around it; may have blank lines inside. */
  readonly input: string;
  /** Empty, or lines that each end in "\n". */
  readonly expected: string;
}

export interface DirectiveArg {
  readonly key: string;
  /** None for `key` alone; one, the empty string, for `key=`. */
  readonly values: readonly string[];
}

export interface ScriptOptions {
  /** What of an output counts, of the expected one as of the actual one. Default: all of it. */
  readonly view?: (output: string) => string;
}

/**
 * Runs a script's directives in order, and throws an AssertionError with the position at the first whose output differs
 * from the expected one. A last newline may be left out of what `run` returns. What `run` throws comes with the position.
 */
export function runScript(
  file: string,
  run: (directive: Directive) => string,
  { view = (output) => output }: ScriptOptions = {},
): void {
  const directives = parseScript(file, readFileSync(file, "utf8"));
  assert.ok(directives.length > 0, `${file} has no directives`);
  for (const directive of directives) {
    const output = ran(directive, run);
    const actual = output === "" || output.endsWith("\n") ? output : `${output}\n`;
    if (view(actual) === view(directive.expected)) continue;
    assert.equal(view(actual), view(directive.expected), difference(directive, actual));
  }
}

/** The directives of a script; `name` is what their positions begin with. */
export function parseScript(name: string, text: string): Directive[] {
  const lines = text.split("\n");
  const directives: Directive[] = [];
  let at = 0;
  const next = () => lines[at++];
  while (at < lines.length) {
    const position = `${name}:${at + 1}`;
    let head = (next() ?? "").trim();
    if (head === "" || head.startsWith("#")) continue;
    while (head.endsWith("\\") && at < lines.length) head = `${head.slice(0, -1)} ${(next() ?? "").trim()}`;
    const { command, args } = parseDirectiveLine(head, position);
    if (command === "subtest") throw new Error(`${position}: subtests are not understood`);
    const input: string[] = [];
    while (at < lines.length && lines[at] !== "----") input.push(next() ?? "");
    at += 1;
    const expected = readExpected(lines, at);
    at = expected.end;
    directives.push({ position, command, args, input: input.join("\n").trim(), expected: expected.text });
  }
  return directives;
}

/** The values of an argument; undefined when the directive has none of that key. The first, if it has several. */
export function argValues(directive: Directive, key: string): readonly string[] | undefined {
  return directive.args.find((arg) => arg.key === key)?.values;
}

function ran(directive: Directive, run: (directive: Directive) => string): string {
  try {
    return run(directive);
  } catch (error) {
    throw new Error(`${directive.position}: ${directive.command} threw`, { cause: error });
  }
}

function difference({ position, command, args, input, expected }: Directive, actual: string): string {
  const words = args.map(({ key, values }) => (values.length === 0 ? key : `${key}=(${values.join(",")})`));
  const parts = [`${position}:`, [command, ...words].join(" "), ...(input === "" ? [] : [input])];
  return [...parts, "---- expected", `${expected}---- found`, actual].join("\n");
}

function readExpected(lines: readonly string[], start: number): { text: string; end: number } {
  const isFence = (at: number) => lines[at] === "----" && lines[at + 1] === "----";
  const takesBlank = lines[start] === "----";
  let at = takesBlank ? start + 1 : start;
  const from = at;
  while (at < lines.length && (takesBlank ? !isFence(at) : lines[at]?.trim() !== "")) at += 1;
  const text = lines.slice(from, at).map((line) => `${line}\n`);
  return { text: text.join(""), end: takesBlank ? at + 2 : at };
}

function parseDirectiveLine(line: string, position: string): { command: string; args: DirectiveArg[] } {
  const command = line.split(" ", 1)[0] ?? "";
  const args: DirectiveArg[] = [];
  let rest = line.slice(command.length).trim();
  while (rest !== "") {
    const key = /^[^ =]*/.exec(rest)?.[0] ?? "";
    assert.notEqual(key, "", `${position}: cannot parse "${line}" at "${rest}"`);
    const values = parseValues(rest.slice(key.length), position);
    args.push({ key, values: values.values });
    rest = values.rest.trim();
  }
  return { command, args };
}

function parseValues(text: string, position: string): { values: string[]; rest: string } {
  if (!text.startsWith("=")) return { values: [], rest: text };
  if (text[1] !== "(") {
    const value = /^=([^ ]*)/.exec(text)?.[1] ?? "";
    return { values: [value], rest: text.slice(1 + value.length) };
  }
  const values: string[] = [];
  let start = 2;
  let depth = 1;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (char === "(") depth += 1;
    if (char === ")") depth -= 1;
    if (depth > 1 || (char !== "," && depth > 0)) continue;
    values.push(text.slice(start, at).trimStart());
    if (depth === 0) return { values, rest: text.slice(at + 1) };
    start = at + 1;
  }
  throw new Error(`${position}: a parenthesis is not closed: ${text}`);
}
