import type { BigIntStats } from "node:fs";
import type { ClosedFile } from "./file-turns.ts";
import { type OpenOptions, openTailedFile } from "./open-tailed-file.ts";
import { keepDoubt } from "./read-trouble.ts";
import { tells } from "./record-of-file.ts";
import { seeClosed } from "./see-closed.ts";
import type { SourceContext } from "./source-context.ts";
import { statOf } from "./stat-of.ts";
import { bornNs, keyOf, TailedFile } from "./tailed-file.ts";
import { noteUnread } from "./unread.ts";

/**
 * As `openTailedFile`, as far as there is a descriptor for it. "waiting": there is none, or one before it at its path
 * waits; what is seen of it is in its record, for which one that is new is open for a moment. "no descriptor": not even that, for
 * the kernel had none left.
 */
export function openInTurn(
  path: string,
  context: SourceContext,
  options: OpenOptions,
): TailedFile | "moved" | "compressed" | "waiting" | "no descriptor" | undefined {
  const { turns, deps } = context;
  if (turns.areOpen) return openTailedFile(path, context, options);
  const stats = options.found ?? statOf(path);
  if (stats === undefined || keyOf(stats) !== options.key) return "moved";
  // Of a compressed file the record is about what is in it: by its name it is only found out that it is one.
  if (deps.checkpoints.find(stats).some(({ isPacked }) => isPacked)) {
    return openOrForget(path, context, options);
  }
  const closed = closedFile(path, stats, context, options);
  if (turns.mayHold(closed, deps.clock.monotonicMs())) {
    return openOrForget(path, context, options);
  }
  warnOnce(context);
  const { record } = closed;
  const size = Number(stats.size);
  if (record?.seen === size) return "waiting";
  if (record !== undefined && !turns.mayLook()) {
    deps.checkpoints.saw(record, size);
    return "waiting";
  }
  const seen = record === undefined ? "unknown" : seeClosed(path, record, context);
  if (seen === "same") return "waiting";
  if (seen === "replaced") context.unsettled.foundReplaced(options.key);
  return turns.isUnsettled(closed) ? "waiting" : visit(path, context, options);
}

/** Finds out what it is, and enters what there is of it. */
function visit(
  path: string,
  context: SourceContext,
  options: OpenOptions,
): "moved" | "compressed" | "waiting" | "no descriptor" | undefined {
  const { checkpoints, claims } = context.deps;
  const file = openOrForget(path, context, { ...options, isVisit: true });
  if (!(file instanceof TailedFile)) return file;
  try {
    noteUnread(file, file.record, checkpoints);
  } catch {
    // It is read again when it has its turn, and why it cannot be read is said then.
  }
  if (!tells(file.record)) checkpoints.remove(file.record);
  keepDoubt(file, context);
  claims.release(file.key, options.holder);
  file.close();
  return "waiting";
}

function openOrForget(path: string, context: SourceContext, options: OpenOptions) {
  const file = openTailedFile(path, context, options);
  if (file instanceof TailedFile) return file;
  if (file === undefined && context.deps.openFiles.isLowered) return "no descriptor";
  context.turns.forget(options.key);
  return file;
}

function closedFile(
  path: string,
  stats: BigIntStats,
  context: SourceContext,
  options: OpenOptions,
): ClosedFile {
  const known = context.deps.checkpoints.find(stats).filter((one) => !context.unsettled.isReplaced(one));
  // With several, or one that says nothing, nobody knows whose content it has before it is opened.
  const record = known.length === 1 ? known.find(tells) : undefined;
  const lanePath = options.lanePath ?? options.lane ?? (options.keepLane ? record?.path : undefined) ?? path;
  const isMoved = options.found === undefined || lanePath !== path;
  return {
    key: options.key,
    lanePath,
    isMoved,
    birthtimeNs: stats.birthtimeNs,
    bornNs: bornNs(stats),
    record,
  };
}

function warnOnce({ deps, logger }: SourceContext): void {
  const { openFiles } = deps;
  if (!openFiles.isNews()) return;
  const { limit } = openFiles;
  logger.warn({ limit }, "more files have something to ship than may be open: they take turns (said once)");
}
