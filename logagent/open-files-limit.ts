import { readFileSync } from "node:fs";
import { DESCRIPTORS_SPARED, OPEN_FILES_DEFAULT_MAX } from "../conf/agent-config.ts";

/** What a process may open that cannot say so. */
const DESCRIPTORS_UNKNOWN = 1_024;

export interface OpenFilesLimit {
  /** Log files that may be open at one time. */
  readonly limit: number;
  /** A sentence for the log, when the config asks for more than there is. */
  readonly warning: string | undefined;
}

/** By the config's `openFilesMax`, and by what this process may open (`descriptors`). */
export function openFilesLimit(
  configured: number | undefined,
  descriptors: number = descriptorsOfProcess(),
): OpenFilesLimit {
  const most = Math.max(1, Math.floor(descriptors / 2), descriptors - DESCRIPTORS_SPARED);
  const wanted = configured ?? OPEN_FILES_DEFAULT_MAX;
  if (configured === undefined || configured <= most)
    return { limit: Math.min(wanted, most), warning: undefined };
  const warning = `Cannot hold openFilesMax (${configured}) files open: the process may open ${descriptors} (ulimit -n, LimitNOFILE=), and holds ${most} files`;
  return { limit: most, warning };
}

/** The soft limit of open files in the text of `/proc/self/limits`; undefined: it is not there. */
export function softLimitIn(limits: string): number | undefined {
  const [, soft] = /^Max open files\s+(\d+|unlimited)\s/m.exec(limits) ?? [];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(soft);
}

function descriptorsOfProcess(): number {
  try {
    return softLimitIn(readFileSync("/proc/self/limits", "latin1")) ?? DESCRIPTORS_UNKNOWN;
  } catch {
    return DESCRIPTORS_UNKNOWN;
  }
}
