import type { TailedFile } from "./tailed-file.ts";

/**
 * The files that were at one path one after another. The lines of a path keep their order across rotations because a file
 * waits until all before it in its lane are drained.
 */
export class Lanes {
  readonly #lanes = new Map<string, TailedFile[]>();

  /** Puts a file into its lane: the one at the path is the youngest, of the others those that were born earlier come first. */
  add(file: TailedFile): void {
    const lane = this.#lanes.get(file.lanePath) ?? [];
    lane.push(file);
    this.#lanes.set(file.lanePath, lane.sort(olderFirst));
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

  /** May this file be read, or is one before it not drained? */
  hasTurn(file: TailedFile): boolean {
    for (const other of this.#lanes.get(file.lanePath) ?? []) {
      if (other === file) return true;
      if (other.drain.kind === "open") return false;
    }
    return true;
  }

  /** Is there a file that came after this one? */
  hasSuccessor(file: TailedFile): boolean {
    return this.#lanes.get(file.lanePath)?.at(-1) !== file;
  }
}

function olderFirst(a: TailedFile, b: TailedFile): number {
  if (a.place.kind !== b.place.kind) return a.place.kind === "moved" ? -1 : 1;
  return a.birthtimeNs === b.birthtimeNs ? 0 : a.birthtimeNs < b.birthtimeNs ? -1 : 1;
}
