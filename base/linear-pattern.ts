import { RE2JS, RE2JSException, RE2JSSyntaxException } from "re2js";
import { CodedError } from "./errors.ts";

/** Characters of a pattern. */
export const PATTERN_CHARACTERS_MAX = 1024;
/** Steps of a compiled pattern: a byte of a line costs at most so many. */
export const PATTERN_STEPS_MAX = 500;
/** Compiled patterns kept for whoever asks for the same text again: entries of a config mostly share theirs. */
const COMPILED_MAX = 256;

const compiled = new Map<string, LinearPattern>();

/** A pattern that cannot be used. */
export class PatternError extends CodedError<"EBADPATTERN"> {
  readonly problem: string;

  constructor(problem: string, cause?: unknown) {
    super("EBADPATTERN", `Cannot compile pattern: ${problem}`, { cause });
    this.problem = problem;
  }
}

/**
 * A regular expression in RE2's syntax, matched in time linear in the bytes: no back-references, no look-around. It works on
 * UTF-8 as it is; a byte that is not UTF-8 counts as one character that only `.` and negated classes match.
 */
export class LinearPattern {
  readonly text: string;
  readonly #engine: RE2JS;

  /** Use {@link compilePattern}. */
  constructor(text: string, engine: RE2JS) {
    this.text = text;
    this.#engine = engine;
  }

  /** Is there a match anywhere in `bytes`? */
  test(bytes: Uint8Array): boolean {
    return this.#engine.test(bytes);
  }

  /** Calls `found` with the range of each match, leftmost first, at most `matchesMax` times. */
  forEachMatch(bytes: Uint8Array, matchesMax: number, found: (from: number, to: number) => void): void {
    const matcher = this.#engine.matcher(bytes);
    for (let matches = 0; matches < matchesMax && matcher.find(); matches++) {
      found(matcher.start(), matcher.end());
    }
  }
}

/** What is wrong with a pattern, and at which character, from 1; undefined when it compiles. */
export function patternProblem(text: string): string | undefined {
  try {
    compilePattern(text);
    return undefined;
  } catch (error) {
    if (error instanceof PatternError) return error.problem;
    throw error;
  }
}

/** Throws {@link PatternError}. */
export function compilePattern(text: string): LinearPattern {
  let pattern = compiled.get(text);
  if (pattern !== undefined) return pattern;
  pattern = new LinearPattern(text, compile(text));
  for (const oldest of compiled.keys()) {
    if (compiled.size < COMPILED_MAX) break;
    compiled.delete(oldest);
  }
  compiled.set(text, pattern);
  return pattern;
}

function compile(text: string): RE2JS {
  if (text.length > PATTERN_CHARACTERS_MAX) {
    throw new PatternError(`it has ${text.length} characters, expected ${PATTERN_CHARACTERS_MAX} or less`);
  }
  let engine: RE2JS;
  try {
    engine = RE2JS.compile(text);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new PatternError(problemOf(text, error), error);
  }
  const steps = engine.programSize();
  if (steps > PATTERN_STEPS_MAX) {
    throw new PatternError(`it compiles to ${steps} steps, expected ${PATTERN_STEPS_MAX} or less`);
  }
  return engine;
}

function problemOf(text: string, error: RE2JSException): string {
  if (!(error instanceof RE2JSSyntaxException)) return error.message;
  return `${error.getDescription()} at character ${positionOf(text, error)}`;
}

/**
 * The engine tells a fragment at most, not where it stands. It reads from left to right: the shortest beginning of the pattern that
 * fails in the same way ends with what is wrong.
 */
function positionOf(text: string, error: RE2JSSyntaxException): number {
  const fragment = error.getPattern();
  if (fragment === null || /^missing closing/.test(error.getDescription())) return text.length + 1;
  const isWhole = fragment === text;
  for (let length = 1; length <= text.length; length++) {
    const beginning = text.slice(0, length);
    const failure = failureOf(beginning);
    if (failure?.getDescription() !== error.getDescription()) continue;
    if (isWhole && failure.getPattern() === beginning) return length;
    if (!isWhole && failure.getPattern() === fragment) return length - fragment.length + 1;
  }
  return 1;
}

function failureOf(text: string): RE2JSSyntaxException | undefined {
  try {
    RE2JS.compile(text);
    return undefined;
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return error;
    throw error;
  }
}
