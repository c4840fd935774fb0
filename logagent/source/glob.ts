import { CodedError } from "../../base/errors.ts";

/** A compiled path pattern. Matching takes time proportional to pattern × path, whatever the pattern: it may come from afar. */
export interface Glob {
  readonly pattern: string;
  /** The folder below which every match lies; the whole path when the pattern has no wildcard. */
  readonly literalPrefix: string;
  readonly isLiteral: boolean;
  readonly segments: readonly Segment[];
  /** Does the whole absolute path match? */
  matches(path: string): boolean;
}

/** One folder level of a pattern. */
export type Segment =
  | { readonly kind: "literal"; readonly name: string }
  | { readonly kind: "wild"; matches(name: string): boolean }
  /** `**`: any number of folders, also none. */
  | { readonly kind: "any-depth" };

/** What `{a,b}` may expand to, so that a pattern of 4 KiB cannot become millions. */
const EXPANSIONS_MAX = 64;

/**
 * Compiles an absolute pattern: `*`, `?` and `[a-z]` (`[!a-z]`) within a folder name, `**` across folders, `{a,b}`, and `\`
 * before a character that is meant literally. A name that starts with a dot matches only a segment that does so too,
 * unless `dot`. Throws GlobError.
 */
export function compileGlob(pattern: string, options: { readonly dot?: boolean } = {}): readonly Glob[] {
  if (!pattern.startsWith("/"))
    throw new GlobError(pattern, "it does not start with /, expected an absolute path");
  return expandBraces(pattern).map((plain) => compilePlain(pattern, plain, options.dot ?? false));
}

/** True when one of the patterns matches the path. */
export function matchesAny(globs: readonly Glob[], path: string): boolean {
  return globs.some((glob) => glob.matches(path));
}

/** A pattern that cannot be used; the message names it. */
export class GlobError extends CodedError<"EGLOB"> {
  /** The reason alone, for where the pattern is named already. */
  readonly why: string;

  constructor(pattern: string, why: string) {
    super("EGLOB", `Cannot use path pattern ${JSON.stringify(pattern)}: ${why}`);
    this.why = why;
  }
}

function compilePlain(pattern: string, plain: string, dot: boolean): Glob {
  const segments: Segment[] = [];
  for (const part of plain.split("/").slice(1)) {
    if (part === "" || part === ".") continue;
    if (part === "..") throw new GlobError(pattern, 'it has a ".." segment, expected none');
    if (part === "**") {
      if (segments.at(-1)?.kind !== "any-depth") segments.push({ kind: "any-depth" });
    } else segments.push(compileSegment(pattern, part, dot));
  }
  const firstWild = segments.findIndex((segment) => segment.kind !== "literal");
  const literal = firstWild === -1 ? segments : segments.slice(0, firstWild);
  const literalPrefix = `/${literal.map((segment) => (segment.kind === "literal" ? segment.name : "")).join("/")}`;
  const isLiteral = firstWild === -1;
  return {
    pattern,
    literalPrefix,
    isLiteral,
    segments,
    matches: (path) =>
      path.startsWith(literalPrefix) && (isLiteral ? path === literalPrefix : matchPath(segments, path, dot)),
  };
}

/** The classic star loop, with `**` as the star and names as the letters. */
function matchPath(segments: readonly Segment[], path: string, dot: boolean): boolean {
  const names = path.split("/").filter((name) => name !== "");
  let at = 0;
  let next = 0;
  let starSegment = -1;
  let starName = 0;
  while (next < names.length) {
    const segment = segments[at];
    const name = names[next] as string;
    if (segment?.kind === "any-depth") {
      starSegment = at++;
      starName = next;
    } else if (segment !== undefined && matchName(segment, name)) {
      at++;
      next++;
    } else if (starSegment !== -1 && (dot || !(names[starName] as string).startsWith("."))) {
      at = starSegment + 1;
      next = ++starName;
    } else return false;
  }
  while (segments[at]?.kind === "any-depth") at++;
  return at === segments.length;
}

function matchName(segment: Segment, name: string): boolean {
  switch (segment.kind) {
    case "literal":
      return segment.name === name;
    case "wild":
      return segment.matches(name);
    case "any-depth":
      return true;
    default:
      return segment satisfies never;
  }
}

/** A letter test, or `undefined` for `*`. */
type Token = ((char: string) => boolean) | undefined;

function compileSegment(pattern: string, part: string, dot: boolean): Segment {
  const tokens: Token[] = [];
  let literal = "";
  let wild = false;
  const chars = [...part];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string;
    if (char === "*") {
      wild = true;
      if (tokens.length === 0 || tokens.at(-1) !== undefined) tokens.push(undefined);
    } else if (char === "?") {
      wild = true;
      tokens.push(() => true);
    } else if (char === "[") {
      const end = classEnd(chars, i);
      if (end === -1) throw new GlobError(pattern, 'it has a "[" without "]"');
      wild = true;
      tokens.push(compileClass(chars.slice(i + 1, end)));
      i = end;
    } else {
      const plain = char === "\\" && i + 1 < chars.length ? (chars[++i] as string) : char;
      literal += plain;
      tokens.push((other) => other === plain);
    }
  }
  if (!wild) return { kind: "literal", name: literal };
  const showsDot = dot || part.startsWith(".") || part.startsWith("\\.");
  return {
    kind: "wild",
    matches: (name) => (showsDot || !name.startsWith(".")) && matchTokens(tokens, [...name]),
  };
}

function compileClass(chars: readonly string[]): (char: string) => boolean {
  const negated = chars[0] === "!" || chars[0] === "^";
  const ranges: [string, string][] = [];
  for (let i = negated ? 1 : 0; i < chars.length; i++) {
    const low = chars[i] as string;
    const isRange = chars[i + 1] === "-" && i + 2 < chars.length;
    if (isRange) i += 2;
    ranges.push([low, chars[i] as string]);
  }
  return (char) => ranges.some(([low, high]) => low <= char && char <= high) !== negated;
}

function matchTokens(tokens: readonly Token[], chars: readonly string[]): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let starChar = 0;
  while (next < chars.length) {
    const token = tokens[at];
    if (at < tokens.length && token === undefined) {
      star = at++;
      starChar = next;
    } else if (token?.(chars[next] as string)) {
      at++;
      next++;
    } else if (star !== -1) {
      at = star + 1;
      next = ++starChar;
    } else return false;
  }
  while (at < tokens.length && tokens[at] === undefined) at++;
  return at === tokens.length;
}

/** `{a,b}` written out, innermost first; a pair of braces without a comma stands for itself. */
function expandBraces(pattern: string): readonly string[] {
  refuseLoneBraces(pattern);
  const done: string[] = [];
  const rest = [pattern];
  for (let one = rest.pop(); one !== undefined; one = rest.pop()) {
    const group = innermostGroup(one);
    if (group === undefined) {
      done.push(one);
      continue;
    }
    const { open, commas, close } = group;
    const before = one.slice(0, open);
    const after = one.slice(close + 1);
    const ends = [...commas, close];
    if (done.length + rest.length + ends.length > EXPANSIONS_MAX) {
      throw new GlobError(pattern, `its braces stand for more than ${EXPANSIONS_MAX} patterns`);
    }
    const options = ends.map((end, index) => one.slice((ends[index - 1] ?? open) + 1, end));
    for (const option of options.reverse()) rest.push(before + option + after);
  }
  return done;
}

interface BraceGroup {
  readonly open: number;
  readonly commas: number[];
  readonly close: number;
}

/** The first `{`…`}` with a comma of its own that is closed. */
function innermostGroup(pattern: string): BraceGroup | undefined {
  const groups: Omit<BraceGroup, "close">[] = [];
  for (const { char, at } of braceMarks(pattern)) {
    if (char === "{") groups.push({ open: at, commas: [] });
    else if (char === ",") groups.at(-1)?.commas.push(at);
    else {
      const group = groups.pop();
      if (group !== undefined && group.commas.length > 0) return { ...group, close: at };
    }
  }
  return undefined;
}

function refuseLoneBraces(pattern: string): void {
  const open: number[] = [];
  for (const { char, at } of braceMarks(pattern)) {
    if (char === "{") open.push(at);
    else if (char === "}" && open.pop() === undefined) throw loneBrace(pattern, at, "}", "{");
  }
  const [lone] = open;
  if (lone !== undefined) throw loneBrace(pattern, lone, "{", "}");
}

function loneBrace(pattern: string, at: number, brace: string, partner: string): GlobError {
  const expected = `expected "{a,b}", or "\\${brace}" for a name with that character`;
  return new GlobError(
    pattern,
    `it has a "${brace}" without "${partner}" at character ${at + 1}, ${expected}`,
  );
}

/** Braces and commas that are neither escaped nor in a class. */
function* braceMarks(pattern: string): Generator<{ readonly char: "{" | "}" | ","; readonly at: number }> {
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at];
    if (char === "\\") at += 1;
    else if (char === "[") at = Math.max(at, classEnd(pattern, at));
    else if (char === "{" || char === "}" || char === ",") yield { char, at };
  }
}

/** Where the class ends that begins at `open`; -1: nowhere. */
function classEnd(chars: string | readonly string[], open: number): number {
  const isNegated = chars[open + 1] === "!" || chars[open + 1] === "^";
  // A "]" that comes first is meant as it is.
  return chars.indexOf("]", open + (isNegated ? 3 : 2));
}
