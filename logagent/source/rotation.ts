import type { Lanes } from "./lanes.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** A moved file that is at its end and has not grown for so long is drained. */
export const ROTATE_QUIET_MS = 2_000;
/** A moved file that was at its end but goes on growing, or that cannot be read, keeps its successor waiting no longer than this. */
export const ROTATE_WAIT_MAX_MS = 60_000;
/** A drained file is held for late growth. */
export const LINGER_MS = 60_000;

export interface RotationParts {
  readonly context: SourceContext;
  readonly lanes: Lanes;
  /** Ships the file to its end, its unfinished last line included. */
  readonly shipFinally: (file: TailedFile) => void;
  readonly release: (file: TailedFile) => void;
}

/**
 * What becomes of a file that is no longer at its path: it is held until it is drained, then its successor has its turn; it
 * is held some time longer for late growth, and let go.
 */
export class Rotation {
  readonly #parts: RotationParts;

  constructor(parts: RotationParts) {
    this.#parts = parts;
  }

  /** After a look at a file that has nothing unread. */
  moveOn(file: TailedFile, nowMs: number): void {
    if (file.drain.kind === "drained") this.#linger(file, file.drain.sinceMs, nowMs);
    else if (file.place.kind === "moved") this.#drain(file, file.place.sinceMs, nowMs);
  }

  /** A moved file that never comes to rest, or cannot be read, must not keep its successor waiting for ever. */
  stopWaitingFor(file: TailedFile, nowMs: number): void {
    if (file.place.kind !== "moved") return;
    if (file.failedReads === 0 && (file.caughtUpAtMs ?? 0) < file.place.sinceMs) return;
    if (nowMs - file.place.sinceMs >= ROTATE_WAIT_MAX_MS && this.#parts.lanes.hasTurn(file))
      this.drained(file);
  }

  /** Nothing more is expected of the file: those behind it in its lane are looked at soon. */
  drained(file: TailedFile): void {
    if (file.drain.kind === "drained") return;
    file.drain = { kind: "drained", sinceMs: this.#parts.context.deps.clock.monotonicMs() };
    for (const other of this.#parts.lanes.at(file.lanePath)) other.nextLookMs = 0;
  }

  /** Says once that a drained file which has a successor ships again. */
  warnLate(file: TailedFile): void {
    if (file.lateWarned || !this.#parts.lanes.hasSuccessor(file)) return;
    file.lateWarned = true;
    this.#parts.context.logger.warn(
      { path: file.record.path, file: file.record.id },
      "rotated file grows again; order between it and its successor is no longer kept",
    );
  }

  /** A moved file with nothing new: when it is quiet for long enough, its last line is complete, and it is drained. */
  #drain(file: TailedFile, movedAtMs: number, nowMs: number): void {
    if (!this.#parts.lanes.hasTurn(file)) return;
    const quietMs = file.isUnpacked ? Number.POSITIVE_INFINITY : nowMs - Math.max(file.grownAtMs, movedAtMs);
    if (quietMs < ROTATE_QUIET_MS && nowMs - movedAtMs < ROTATE_WAIT_MAX_MS) return;
    if (file.size > file.offset) this.#parts.shipFinally(file);
    else this.drained(file);
  }

  /** A drained file is held for late growth, and let go when there is none; nothing is written into what was compressed. */
  #linger(file: TailedFile, drainedAtMs: number, nowMs: number): void {
    const lingerMs = file.isUnpacked ? 0 : LINGER_MS;
    if (file.size > file.offset) {
      if (nowMs - file.grownAtMs >= ROTATE_QUIET_MS) this.#parts.shipFinally(file);
    } else if (file.content.isSettled && nowMs - drainedAtMs >= lingerMs) this.#parts.release(file);
  }
}
