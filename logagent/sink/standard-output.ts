import { readFileSync, readlinkSync } from "node:fs";
import { CodedError } from "../../base/errors.ts";

/** Access mode in the octal `flags` of /proc/self/fdinfo, proc(5): 2 is O_RDWR. */
const ACCESS_MODE = 0o3;
const READ_WRITE = 0o2;

/**
 * Refuses a process that was started with standard output closed: Node has put /dev/null in its place by then, for reading
 * and writing (as supervisors do that want no output), and every line would count as delivered. A shell's `> /dev/null`,
 * which is for writing alone, is taken at its word. Throws CodedError "ENOSTDOUT". Knows nothing where there is no /proc.
 */
export function refuseClosedStandardOutput(): void {
  if (!isNowhere()) return;
  throw new CodedError(
    "ENOSTDOUT",
    "Cannot use sink stdout: standard output is closed or leads to /dev/null, expected somebody who reads it " +
      "(> /dev/null of a shell to throw the lines away)",
  );
}

function isNowhere(): boolean {
  let flags: string | undefined;
  try {
    if (readlinkSync("/proc/self/fd/1") !== "/dev/null") return false;
    flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync("/proc/self/fdinfo/1", "utf8"))?.[1];
  } catch {
    return false; // no /proc: it cannot be told
  }
  return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) === READ_WRITE;
}
