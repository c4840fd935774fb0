import path from "node:path";
import { lineAt, type SourceText } from "./source-text.ts";

const LINES_MAX = 300;

interface Habit {
  readonly what: string;
  readonly pattern: RegExp;
  /** Where it looks: in code without literals and comments, or in all that is written. */
  readonly within: "code" | "text";
  readonly applies?: (file: string) => boolean;
}

const isTest = (file: string): boolean => file.startsWith("test/");
const isTypeScript = (file: string): boolean => file.endsWith(".ts");

const HABITS: readonly Habit[] = [
  { what: "a default export", pattern: /\bexport\s+default\b|\bas\s+default\b/g, within: "code" },
  { what: "an enum", pattern: /(?<![.\w$])enum\s+[A-Za-z_$][\w$]*\s*\{/g, within: "code" },
  {
    what: "the type any",
    pattern:
      /(?:(?:[:<|&,]|=>)\s*|\b(?:as|satisfies|keyof|extends)\s+)any\b(?!\s*[:(.]|\$)|(?<![.\w$])any\s*\[\]/g,
    within: "code",
    applies: isTypeScript,
  },
  {
    what: "a name that begins with I",
    pattern: /\binterface\s+I[A-Z][a-z]/g,
    within: "code",
    applies: isTypeScript,
  },
  {
    what: "a non-null ! on something else than an indexed read",
    pattern: /(?<=[\w$)])!(?=\s*[.;,)\]}[(]|\s+(?:as|satisfies|in|of)\b)/g,
    within: "code",
    applies: (file) => isTypeScript(file) && !isTest(file),
  },
  { what: "an empty catch", pattern: /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}/g, within: "text" },
  {
    what: "a note of work not done",
    pattern: new RegExp(`\\b(?:${["TO", "DO"].join("")}|${["FIX", "ME"].join("")})\\b`, "g"),
    within: "text",
  },
  {
    what: "a test that does not run",
    pattern: /\.\s*(?:skip|todo|only)\s*\(|\b(?:skip|todo|only)\s*:\s*(?!\()|\b(?:xit|xdescribe|xtest)\s*\(/g,
    within: "code",
    applies: isTest,
  },
];

/** Style that a person should not have to look for. Returns a sentence per violation. */
export function habitViolations(source: SourceText): string[] {
  if (isGenerated(source.path)) return [];
  return HABITS.filter(({ applies }) => applies?.(source.path) ?? true).flatMap(({ what, pattern, within }) =>
    [...source[within].matchAll(pattern)].map(
      (match) => `${source.path}:${lineAt(source, match.index)} has ${what}`,
    ),
  );
}

/** Notes of work not done, in files that are no code. */
export function noteViolations(file: string, text: string): string[] {
  const note = HABITS.filter(({ what }) => what === "a note of work not done");
  return note.flatMap(({ what, pattern }) => (text.search(pattern) === -1 ? [] : [`${file} has ${what}`]));
}

/** A file is short; tests and generated code are as long as they need to be. */
export function sizeViolations(source: SourceText): string[] {
  if (isTest(source.path) || isGenerated(source.path)) return [];
  const lines = source.text.split("\n").length - (source.text.endsWith("\n") ? 1 : 0);
  return lines > LINES_MAX ? [`${source.path} has ${lines} lines, ${LINES_MAX} at most`] : [];
}

/** Names of files and folders are kebab-case, and say what is inside. */
export function nameViolations(file: string): string[] {
  if (isGenerated(file)) return [];
  const bad = file
    .split("/")
    .filter((name, index, names) => !(index === names.length - 1 ? isFileName(name) : isFolderName(name)))
    .map((name) => `${file}: ${name} is not kebab-case`);
  const vague = /^(?:utils?|helpers?|misc|common|stuff)\.[a-z]+$/.test(path.posix.basename(file));
  return vague ? [...bad, `${file}: the name does not say what is inside`] : bad;
}

/** Code made by a generator is not ours to shape. */
export function isGenerated(file: string): boolean {
  return file.startsWith("store/proto/gen/");
}

function isFileName(name: string): boolean {
  return /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|bench|d))?\.[a-z]+$/.test(name);
}

function isFolderName(name: string): boolean {
  return /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name);
}
