import { type BigIntStats, statSync } from "node:fs";
import { errorCode, errorMessage } from "../../base/errors.ts";
import type { Glob } from "./glob.ts";
import { wrongKind } from "./open-file.ts";
import type { Problems } from "./problems.ts";

/** The file at a path that one of the patterns matches; undefined when there is none, or another thing, which is said. */
export function fileAt(path: string, globs: readonly Glob[], problems: Problems): BigIntStats | undefined {
  const about = `look at ${path}`;
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats?.isFile()) return stats;
    // A pattern that also matches folders is no mistake.
    const isNamed = globs.some((glob) => glob.isLiteral && glob.literalPrefix === path);
    if (stats === undefined || (stats.isDirectory() && !isNamed)) problems.clear(about);
    else problems.set(about, wrongKind(path, stats));
  } catch (error) {
    if (errorCode(error) === "ENOTDIR") problems.clear(about);
    else problems.set(about, `Cannot look at ${path}: ${errorMessage(error)}`);
  }
  return undefined;
}
