import type { Entry } from "../../conf/collect-config.ts";

/**
 * Is a file, seen for the first time, left alone because it was last written too long ago? Never one of which something was
 * shipped: its rest is not given up. Times are milliseconds since the Unix epoch.
 */
export function isIgnoredByAge(
  { ignoreOlderThanSeconds }: Pick<Entry, "ignoreOlderThanSeconds">,
  file: { readonly mtimeMs: number; readonly nowMs: number; readonly isKnown: boolean },
): boolean {
  if (ignoreOlderThanSeconds === undefined || file.isKnown) return false;
  return file.nowMs - file.mtimeMs > ignoreOlderThanSeconds * 1000;
}
