import type { EntryCheck } from "../../conf/parse-collect-config.ts";
import type { AllowList } from "../source/allow-list.ts";
import { compileGlob, type Glob, GlobError, type Segment } from "../source/glob.ts";

/**
 * Refuses an entry that could ever match a file outside `allow`, before anything is opened. A pattern must be provably
 * inside one of the allowed patterns, level by level; what cannot be proven is refused. (What a symbolic link leads to is
 * checked again on the open descriptor.)
 */
export function insideAllow(allow: AllowList): EntryCheck {
  const allowed = allow.patterns.flatMap((pattern) => compileGlob(pattern, { dot: true })).map(levelsOf);
  return (entry) => {
    let globs: readonly Glob[];
    try {
      globs = compileGlob(entry.path);
    } catch (error) {
      if (!(error instanceof GlobError)) throw error;
      return `the path cannot be used: ${error.why}`;
    }
    const isInside = globs.every((glob) => allowed.some((outer) => covers(outer, levelsOf(glob))));
    if (isInside) return undefined;
    return `the path is not inside allow, expected a path inside ${allow.patterns.join(" or ")}`;
  };
}

/** One folder level of a pattern, with its text where that is known (a pattern with braces has none). */
interface Level {
  readonly segment: Segment;
  readonly text: string | undefined;
}

function levelsOf(glob: Glob): readonly Level[] {
  const texts = glob.pattern
    .split("/")
    .filter((text, index, all) => text !== "" && text !== "." && !(text === "**" && all[index - 1] === "**"));
  const isAligned = !/[{}]/.test(glob.pattern) && texts.length === glob.segments.length;
  return glob.segments.map((segment, index) => ({ segment, text: isAligned ? texts[index] : undefined }));
}

/** Is every path that `inner` matches matched by `outer`? May say no where the answer is yes, never the reverse. */
function covers(outer: readonly Level[], inner: readonly Level[], outerAt = 0, innerAt = 0): boolean {
  const wide = outer[outerAt];
  const narrow = inner[innerAt];
  if (wide === undefined) return narrow === undefined;
  if (wide.segment.kind === "any-depth") {
    if (outerAt === outer.length - 1) return true;
    const skipsNone = covers(outer, inner, outerAt + 1, innerAt);
    return skipsNone || (narrow !== undefined && covers(outer, inner, outerAt, innerAt + 1));
  }
  if (narrow === undefined || !coversLevel(wide, narrow)) return false;
  return covers(outer, inner, outerAt + 1, innerAt + 1);
}

function coversLevel(wide: Level, narrow: Level): boolean {
  if (narrow.segment.kind === "any-depth") return false;
  if (wide.text === "*") return true;
  if (narrow.segment.kind === "literal") {
    return wide.segment.kind === "literal"
      ? wide.segment.name === narrow.segment.name
      : wide.segment.kind === "wild" && wide.segment.matches(narrow.segment.name);
  }
  return wide.text !== undefined && wide.text === narrow.text;
}
