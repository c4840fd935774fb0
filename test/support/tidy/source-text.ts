/** One source file as the rules see it. All three texts have the same length, so that an offset means the same in each. */
export interface SourceText {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments, and what stands inside strings and regular expressions, turned into spaces. */
  readonly code: string;
}

type Frame = { readonly kind: "code"; depth: number } | { readonly kind: "template" };

/** After one of these a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX =
  /(?:^|[=(,:;!&|?{}[+\-*%<>~^\n]|\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield|throw))$/;

/** Blanks comments and literals of TypeScript. Newlines stay, and so do the quotes of a string. */
export function sourceText(path: string, text: string): SourceText {
  const out = text.split("");
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  const frames: Frame[] = [{ kind: "code", depth: 0 }];
  let at = text.startsWith("#!") ? lineEnd(text, 0) : 0;
  blank(0, at);

  while (at < text.length) {
    const frame = frames.at(-1);
    if (frame === undefined) throw new Error(`Cannot read ${path}: braces do not match at offset ${at}`);
    const char = text[at];

    if (frame.kind === "template") {
      if (char === "`") {
        frames.pop();
        at += 1;
      } else if (char === "$" && text[at + 1] === "{") {
        frames.push({ kind: "code", depth: 0 });
        at += 2;
      } else {
        const next = char === "\\" ? at + 2 : at + 1;
        blank(at, next);
        at = next;
      }
      continue;
    }

    if (char === "/" && text[at + 1] === "/") {
      const end = lineEnd(text, at);
      blank(at, end);
      at = end;
    } else if (char === "/" && text[at + 1] === "*") {
      const close = text.indexOf("*/", at + 2);
      const end = close === -1 ? text.length : close + 2;
      blank(at, end);
      at = end;
    } else if (char === '"' || char === "'") {
      const end = literalEnd(text, at, char);
      blank(at + 1, end - 1);
      at = end;
    } else if (char === "/" && BEFORE_REGEX.test(before(out, at))) {
      const end = regexEnd(text, at);
      blank(at + 1, end - 1);
      at = end;
    } else {
      if (char === "`") frames.push({ kind: "template" });
      else if (char === "{") frame.depth += 1;
      else if (char === "}" && frame.depth === 0) frames.pop();
      else if (char === "}") frame.depth -= 1;
      at += 1;
    }
  }
  return { path, text, code: out.join("") };
}

/** The modules a file names: static and dynamic imports, re-exports, and types taken by `import("…")`. */
export function importsOf(source: SourceText): string[] {
  const found: string[] = [];
  for (const match of source.code.matchAll(/\b(?:from|import)\s*\(?\s*(["'])/g)) {
    const start = match.index + match[0].length;
    found.push(source.text.slice(start, source.text.indexOf(match[1] ?? "", start)));
  }
  return found;
}

/** Those that are there when the program runs: imports of types only are gone by then. */
export function runtimeImportsOf(source: SourceText): string[] {
  const found: string[] = [];
  const statement =
    /\b(?:import|export)\s+(type\s+(?!from\b))?(?:[^;"'`()]*?\bfrom\s*)?(["'])|\bimport\s*\(\s*(["'])/g;
  for (const match of source.code.matchAll(statement)) {
    const start = match.index + match[0].length;
    if (match[1] === undefined)
      found.push(source.text.slice(start, source.text.indexOf(match[2] ?? match[3] ?? "", start)));
  }
  return found;
}

/** The line, counted from 1, that an offset is on. */
export function lineAt(source: SourceText, offset: number): number {
  return source.text.slice(0, offset).split("\n").length;
}

/** What stands before an offset on the way back to the last thing that is not a blank. */
function before(out: readonly string[], at: number): string {
  let end = at;
  while (end > 0 && (out[end - 1] === " " || out[end - 1] === "\n")) end -= 1;
  return out.slice(Math.max(0, end - 12), end).join("");
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

function literalEnd(text: string, from: number, quote: string): number {
  let at = from + 1;
  while (at < text.length && text[at] !== quote && text[at] !== "\n") at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function regexEnd(text: string, from: number): number {
  let at = from + 1;
  let inClass = false;
  while (at < text.length && text[at] !== "\n") {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) break;
    at += 1;
  }
  return at + 1;
}
