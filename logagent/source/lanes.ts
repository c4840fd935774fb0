import { wasSeen } from "./record-of-file.ts";
import type { TailedFile } from "./tailed-file.ts";

/**
 * The files that were at one path one after another. The lines of a path keep their order across rotations because a file
 * waits until all before it in its lane are drained.
 */
export class Lanes {
  readonly #lanes = new Map<string, TailedFile[]>();
  /** Paths at which nothing has its turn. */
  #onHold: ReadonlySet<string> = new Set();

  /**
   * Puts a file into its lane: the one at the path is the youngest. One that is found where it was moved to comes before those
   * that were born later; those that were seen to follow each other stay in that order, whatever a clock that jumped says.
   */
  add(file: TailedFile): void {
    const lane = [...(this.#lanes.get(file.lanePath) ?? [])];
    const isMoved = file.place.kind === "moved";
    const next = isMoved ? lane.findIndex((other) => isBefore(file, other)) : -1;
    lane.splice(next === -1 ? lane.length : next, 0, file);
    this.#lanes.set(file.lanePath, lane);
  }

  remove(file: TailedFile): void {
    const lane = this.#lanes.get(file.lanePath)?.filter((other) => other !== file) ?? [];
    if (lane.length > 0) this.#lanes.set(file.lanePath, lane);
    else this.#lanes.delete(file.lanePath);
  }

  /** The files that take turns at a path, oldest first. */
  at(path: string): readonly TailedFile[] {
    return this.#lanes.get(path) ?? [];
  }

  /** From now on nothing has its turn at these paths, and only at these: another task holds what came before. */
  hold(paths: ReadonlySet<string>): void {
    const before = this.#onHold;
    this.#onHold = paths;
    for (const path of before) if (!paths.has(path)) for (const file of this.at(path)) file.nextLookMs = 0;
  }

  /** May this file be read, or is one before it not drained? */
  hasTurn(file: TailedFile): boolean {
    if (this.#onHold.has(file.lanePath)) return false;
    for (const other of this.#lanes.get(file.lanePath) ?? []) {
      if (other === file) return true;
      if (other.drain.kind === "open") return false;
    }
    return true;
  }

  /** Is there no file before it, drained or not? */
  isOldest(file: TailedFile): boolean {
    return this.at(file.lanePath)[0] === file;
  }

  /** Is there a file that came after this one? */
  hasSuccessor(file: TailedFile): boolean {
    return this.#lanes.get(file.lanePath)?.at(-1) !== file;
  }
}

function isBefore(moved: TailedFile, other: TailedFile): boolean {
  if (other.place.kind !== "moved") return true;
  if (moved.birthtimeNs !== 0n && other.birthtimeNs !== 0n) return moved.birthtimeNs < other.birthtimeNs;
  // Where nobody says: what was rotated earlier was written last earlier.
  if (moved.mtimeMs !== other.mtimeMs) return moved.mtimeMs < other.mtimeMs;
  // What nobody saw before it was compressed came after all that was seen, and before what nobody saw and is not compressed yet.
  return isPacked(other)
    ? !isPacked(moved) && wasSeen(moved.record)
    : isPacked(moved) && !wasSeen(other.record);
}

function isPacked({ record }: TailedFile): boolean {
  return record.isPacked === true;
}
