import { nextFlushMs } from "../rules/flush-due.ts";
import { tells } from "./record-of-file.ts";
import type { SourceContext } from "./source-context.ts";
import { statOf } from "./stat-of.ts";
import { type FileStamp, keyOf, type TailedFile } from "./tailed-file.ts";

/** Closes files for others that wait for a descriptor, where nothing is lost by that. */
export class GivingWay {
  readonly #context: SourceContext;
  readonly #release: (file: TailedFile, stamp: FileStamp) => void;

  constructor(context: SourceContext, release: (file: TailedFile, stamp: FileStamp) => void) {
    this.#context = context;
    this.#release = release;
  }

  /** A file that ships ends by itself after its chunk, unless its topic takes nothing. */
  hurry(file: TailedFile): void {
    const { entry, deps } = this.#context;
    if (file.givesWaySinceMs === undefined || deps.sink.topic(entry.topic).kind !== "waiting") return;
    file.abort.abort(new Error("another file waits to be opened"));
  }

  /** After a look. False: it stays, for nobody needs it, or it cannot be closed now. */
  close(file: TailedFile, nowMs: number): boolean {
    if (file.givesWaySinceMs === undefined || file.shipping !== undefined) return false;
    const stamp = stampToClose(file);
    if (stamp === undefined) {
      file.givesWaySinceMs = undefined;
      return false;
    }
    const { turns, entry, deps } = this.#context;
    turns.gaveWay(file, stamp, nextFlushMs(entry, nowMs - file.grownAtMs));
    this.#release(file, stamp);
    // By nothing would it be known again, and nothing was in it.
    if (!tells(file.record)) deps.checkpoints.remove(file.record);
    return true;
  }
}

/** How it is, when it may be closed: one that is not drained must be at its path, where it is found again. */
function stampToClose(file: TailedFile): FileStamp | undefined {
  const { kind } = file.hold;
  if (kind === "bound") return undefined;
  // What is in it cannot be read, and by nothing would it be known again.
  if (!tells(file.record) && file.record.seen > 0) return undefined;
  if (kind === "lingering") return file.stamp();
  const stats = statOf(file.lanePath);
  return stats !== undefined && keyOf(stats) === file.key ? stats : undefined;
}
