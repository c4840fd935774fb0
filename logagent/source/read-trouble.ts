import { errorMessage } from "../../base/errors.ts";
import type { Present } from "./held-files.ts";
import { ROTATE_WAIT_MAX_MS } from "./rotation.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** A file that cannot be read is tried again after this time, */
export const READ_RETRY_MS = 1_000;
/** and after twice the time before when that fails as well, up to this. */
export const READ_RETRY_MAX_MS = 30_000;

/** A file could not be looked at, read or delivered: it is tried again from where it is, for as long as it takes. */
export function readFailed(file: TailedFile, error: unknown, { deps, problems }: SourceContext): void {
  const { lanePath, offset, failedReads, place } = file;
  problems.set(
    lanePath,
    `Cannot ship ${lanePath} from byte ${offset} on: ${errorMessage(error)}; it is tried again, and nothing is skipped`,
  );
  file.readTo = offset;
  file.flushed = undefined;
  const nowMs = deps.clock.monotonicMs();
  const retryMs = nowMs + Math.min(READ_RETRY_MS * 2 ** failedReads, READ_RETRY_MAX_MS);
  // Whoever comes after it at its path waits no longer than until then.
  const waitEndsMs = place.kind === "moved" ? place.sinceMs + ROTATE_WAIT_MAX_MS : retryMs;
  file.nextLookMs = waitEndsMs > nowMs ? Math.min(retryMs, waitEndsMs) : retryMs;
  file.failedReads += 1;
}

/** A file could be read to its end, or as far as somebody wanted. */
export function readWorked(file: TailedFile, { problems }: SourceContext): void {
  file.failedReads = 0;
  problems.clear(file.lanePath);
}

/** A scan came by. While a file cannot be read its own looks come late, and it may be cut off before the next one. */
export function passedBy(file: TailedFile, present: ReadonlyMap<string, Present>): void {
  const there = present.get(file.key);
  if (file.failedReads === 0 || there === undefined) return;
  file.doubtedSize = Math.max(file.doubtedSize, Number(there.stats.size));
}

/** Before a file is closed. */
export function keepDoubt({ record, doubtedSize }: TailedFile, { deps }: SourceContext): void {
  if (doubtedSize > 0) deps.checkpoints.doubted(record, doubtedSize);
}
