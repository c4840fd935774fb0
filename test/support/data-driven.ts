import { invariant } from "../../base/invariant.ts";

/** One step of a script: a command, what it is given, and what it is to print. */
export interface Directive {
  /** Line of the file that the command is on; the first is 1. */
  readonly line: number;
  readonly command: string;
  readonly args: readonly Argument[];
  /** The lines between the command and its "----", without the white space around them. */
  readonly input: string;
  /** Each line with its line feed; empty when nothing is expected. */
  readonly expected: string;
}

/** `key`, `key=value` or `key=(value, value)`; without values: an argument that is its key alone. */
export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

const SEPARATOR = "----";

/**
 * Reads a script of Cockroach's datadriven package, the format of etcd-io/raft's testdata: lines that start with "#" are
 * comments, a command may go on behind a backslash at the end of a line, and expected output ends at the first blank
 * line, or, when it is opened by two separators, at the next two.
 *
 * Not read, because none of these scripts has them: subtests, and commands without a separator.
 */
export function parseDataDriven(text: string): readonly Directive[] {
  const lines = new Lines(text);
  const directives: Directive[] = [];
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    let head = line.trim();
    if (head === "" || head.startsWith("#")) continue;
    const at = lines.number;
    while (head.endsWith("\\")) head = `${head.slice(0, -1)} ${(lines.next() ?? "").trim()}`;
    const { command, args } = parseCommand(head, at);
    const input = lines.until(SEPARATOR);
    invariant(input !== undefined, `the command "${command}" in line ${at} has a separator`);
    directives.push({ line: at, command, args, input: input.join("\n").trim(), expected: expected(lines) });
  }
  return directives;
}

function expected(lines: Lines): string {
  const taken: string[] = [];
  const first = lines.next();
  if (first === SEPARATOR) {
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      if (line === SEPARATOR && lines.peek() === SEPARATOR) {
        lines.next();
        break;
      }
      taken.push(line);
    }
  } else {
    for (let line = first; line !== undefined && line.trim() !== ""; line = lines.next()) taken.push(line);
  }
  return taken.map((line) => `${line}\n`).join("");
}

function parseCommand(line: string, at: number): Pick<Directive, "command" | "args"> {
  const [command = ""] = line.split(" ", 1);
  let rest = line.slice(command.length).trim();
  const args: Argument[] = [];
  while (rest !== "") {
    const [key = ""] = rest.split(/[ =]/, 1);
    invariant(key !== "", `each argument in line ${at} has a name: ${line}`);
    rest = rest.slice(key.length);
    let values: readonly string[] = [];
    if (rest.startsWith("=(")) {
      const end = closing(rest, at);
      values = splitOutside(rest.slice(2, end));
      rest = rest.slice(end + 1);
    } else if (rest.startsWith("=")) {
      const [value = ""] = rest.slice(1).split(" ", 1);
      values = [value];
      rest = rest.slice(1 + value.length);
    }
    args.push({ key, values });
    rest = rest.trim();
  }
  return { command, args };
}

/** Where the parenthesis at 1 is closed. */
function closing(text: string, at: number): number {
  let depth = 0;
  for (let i = 1; i < text.length; i += 1) {
    if (text[i] === "(") depth += 1;
    if (text[i] === ")") depth -= 1;
    if (depth === 0) return i;
  }
  throw new Error(`Cannot read line ${at}: a parenthesis is not closed in ${text}`);
}

/** Parts between the commas that are in no parenthesis. */
function splitOutside(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === "(") depth += 1;
    if (text[i] === ")") depth -= 1;
    if (text[i] !== "," || depth !== 0) continue;
    parts.push(text.slice(start, i).trim());
    start = i + 1;
  }
  return [...parts, text.slice(start).trim()];
}

class Lines {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(text: string) {
    const lines = text.split("\n");
    this.#lines = lines.at(-1) === "" ? lines.slice(0, -1) : lines;
  }

  /** Of the line that was given last; the first is 1. */
  get number(): number {
    return this.#at;
  }

  next(): string | undefined {
    const line = this.#lines[this.#at];
    if (line !== undefined) this.#at += 1;
    return line;
  }

  peek(): string | undefined {
    return this.#lines[this.#at];
  }

  /** The lines before `end`, which is taken too; undefined when there is none. */
  until(end: string): readonly string[] | undefined {
    const taken: string[] = [];
    for (let line = this.next(); line !== undefined; line = this.next()) {
      if (line === end) return taken;
      taken.push(line);
    }
    return undefined;
  }
}
