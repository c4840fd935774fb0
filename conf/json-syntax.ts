/** The first thing that keeps a text from being JSON, and where. */
export interface JsonError {
  /** Characters from 0. */
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

/** A string, a number, a word or one character of punctuation (RFC 8259). */
const TOKEN =
  /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)(?!\w)|[[\]{}:,]/y;
const SPACE = /[ \t\n\r]*/y;

interface Frame {
  readonly kind: "list" | "object";
  readonly names: Set<string>;
}

type Wanted = "value" | "value-or-end" | "name" | "name-or-end" | "colon" | "comma-or-end" | "nothing";

const WANTED_TEXT: Readonly<Record<Wanted, string>> = {
  value: "a value",
  "value-or-end": "a value or ]",
  name: "a field name in double quotes",
  "name-or-end": "a field name in double quotes or }",
  colon: "a colon",
  "comma-or-end": "a comma or the closing bracket",
  nothing: "the end",
};

/**
 * Says where a text stops being JSON: `JSON.parse` gives no position for many errors, and takes the last of two fields
 * with one name, where one of them must be a mistake. Without recursion, so that brackets by the thousand are no trouble.
 */
export function findJsonError(text: string): JsonError | undefined {
  const frames: Frame[] = [];
  let wanted: Wanted = "value";
  let at = skipSpace(text, 0);
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined)
      return errorAt(text, at, `${shownAt(text, at)}, expected ${WANTED_TEXT[wanted]}`);
    const step = advance(frames, wanted, token);
    if (step.error !== undefined) return errorAt(text, at, step.error);
    wanted = step.wanted;
    at = skipSpace(text, at + token.length);
  }
  return wanted === "nothing"
    ? undefined
    : errorAt(text, text.length, `the text ends, expected ${WANTED_TEXT[wanted]}`);
}

interface Step {
  readonly wanted: Wanted;
  readonly error?: string;
}

function advance(frames: Frame[], wanted: Wanted, token: string): Step {
  const top = frames.at(-1);
  const unexpected = { wanted, error: `found ${token.slice(0, 40)}, expected ${WANTED_TEXT[wanted]}` };
  const after: Step = { wanted: frames.length > 0 ? "comma-or-end" : "nothing" };
  switch (wanted) {
    case "nothing":
      return unexpected;
    case "colon":
      return token === ":" ? { wanted: "value" } : unexpected;
    case "comma-or-end":
      if (token === ",") return { wanted: top?.kind === "list" ? "value" : "name" };
      return token === (top?.kind === "list" ? "]" : "}") ? close(frames) : unexpected;
    case "name":
    case "name-or-end":
      if (token === "}" && wanted === "name-or-end") return close(frames);
      if (!token.startsWith('"')) return unexpected;
      if (top?.names.has(token)) return { wanted, error: `the field ${token} is there twice in one object` };
      top?.names.add(token);
      return { wanted: "colon" };
    case "value":
    case "value-or-end":
      if (token === "]" && wanted === "value-or-end") return close(frames);
      if (token === "[" || token === "{") return open(frames, token);
      return /^[\]}:,]/.test(token) ? unexpected : after;
    default:
      return wanted satisfies never;
  }
}

function open(frames: Frame[], token: "[" | "{"): Step {
  frames.push({ kind: token === "[" ? "list" : "object", names: new Set() });
  return { wanted: token === "[" ? "value-or-end" : "name-or-end" };
}

function close(frames: Frame[]): Step {
  frames.pop();
  return { wanted: frames.length > 0 ? "comma-or-end" : "nothing" };
}

function skipSpace(text: string, from: number): number {
  SPACE.lastIndex = from;
  SPACE.exec(text);
  return SPACE.lastIndex;
}

function shownAt(text: string, offset: number): string {
  const char = text[offset] ?? "";
  if (char === '"')
    return "found a string that does not end, or has a control character or a bad escape in it";
  const word = /^[\w.+-]{1,40}/.exec(text.slice(offset, offset + 40))?.[0];
  return `found ${word ?? JSON.stringify(String.fromCodePoint(text.codePointAt(offset) ?? 0))}`;
}

function errorAt(text: string, offset: number, reason: string): JsonError {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { offset, line: before.split("\n").length, column: offset - lineStart + 1, reason };
}
