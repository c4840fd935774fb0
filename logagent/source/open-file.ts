import { type BigIntStats, closeSync, constants, fstatSync, openSync, readlinkSync } from "node:fs";
import { errorCode, errorMessage } from "../../base/errors.ts";
import type { AllowList } from "./allow-list.ts";
import type { MountTable } from "./mount-table.ts";

/** What the kernel adds to the path of an open file whose name is gone. */
const DELETED = / \(deleted\)$/;

export type OpenResult =
  /** `path` is the one that the kernel gives, links resolved. */
  | { readonly kind: "open"; readonly fd: number; readonly stats: BigIntStats; readonly path: string }
  /** It went away between the look and the opening. */
  | { readonly kind: "gone" }
  /** `problem` is a sentence for people. `isExhausted`: the kernel has no descriptor left for us. */
  | { readonly kind: "refused"; readonly problem: string; readonly isExhausted?: boolean };

/** What may be read. */
export interface OpenLimits {
  readonly allow: AllowList;
  readonly mounts: MountTable;
}

/**
 * Opens a file for reading, never waiting for one (a FIFO would). The kernel is asked what was opened, and under which
 * path, before the first byte is read: a path that was checked first could be another one by now.
 */
export function openLogFile(path: string, limits: OpenLimits): OpenResult {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") return { kind: "gone" };
    const isExhausted = code === "EMFILE" || code === "ENFILE";
    return { kind: "refused", problem: `Cannot open ${path}: ${explain(error)}`, isExhausted };
  }
  const result = inspect(fd, path, limits);
  if (result.kind !== "open") closeSync(fd);
  return result;
}

/** Where an open file is now; undefined when that name is gone. */
export function presentPath(fd: number): string | undefined {
  const path = pathOf(fd);
  return DELETED.test(path) ? undefined : path;
}

function pathOf(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}

/** The sentence for a path that is no regular file. */
export function wrongKind(path: string, stats: BigIntStats): string {
  const hint = stats.isDirectory() ? ` (for the files in it: ${path.replace(/\/$/, "")}/*)` : "";
  return `Cannot read ${path}: it is ${describeKind(stats)}, expected a regular file${hint}`;
}

/** What a path is, when it is not a regular file. */
function describeKind(stats: BigIntStats): string {
  if (stats.isDirectory()) return "a directory";
  if (stats.isFIFO()) return "a FIFO";
  if (stats.isSocket()) return "a socket";
  if (stats.isCharacterDevice() || stats.isBlockDevice()) return "a device";
  return "no regular file";
}

function inspect(fd: number, path: string, { allow, mounts }: OpenLimits): OpenResult {
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (!stats.isFile()) return { kind: "refused", problem: wrongKind(path, stats) };
    const real = pathOf(fd).replace(DELETED, "");
    const via = real === path ? "" : ` (it leads to ${real})`;
    if (allow.allows(real)) {
      const refusal = mounts.refusal(real);
      if (refusal === undefined) return { kind: "open", fd, stats, path: real };
      return { kind: "refused", problem: `Cannot read ${path}${via}: ${refusal.why}` };
    }
    const problem = `Cannot read ${path}${via}: expected a path that "allow" names: ${allow.patterns.join(", ")}`;
    return { kind: "refused", problem };
  } catch (error) {
    return { kind: "refused", problem: `Cannot look at ${path}: ${explain(error)}` };
  }
}

function explain(error: unknown): string {
  switch (errorCode(error)) {
    case "EACCES":
    case "EPERM":
      return "permission denied; the agent's user must be able to read it";
    case "EMFILE":
    case "ENFILE":
      return "too many open files; raise the limit of the agent (ulimit -n, LimitNOFILE=)";
    case "ELOOP":
      return "its symbolic links form a loop";
    case "ENXIO":
      return "it is a socket or a device, expected a regular file";
    default:
      return errorMessage(error);
  }
}
