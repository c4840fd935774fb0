import { compileGlob, matchesAny } from "./glob.ts";

/** The paths that may ever be opened. Asked with the path the kernel gives for an open descriptor, links resolved. */
export interface AllowList {
  readonly patterns: readonly string[];
  allows(path: string): boolean;
}

/** Compiles the `allow` option; names that start with a dot are included. Throws CodedError "EGLOB". */
export function compileAllowList(patterns: readonly string[]): AllowList {
  const globs = patterns.flatMap((pattern) => compileGlob(pattern, { dot: true }));
  return { patterns, allows: (path) => matchesAny(globs, path) };
}
