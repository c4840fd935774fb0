import { type FolderInodes, inodesIn, namesChangedAt } from "../checkpoint/inodes-in.ts";
import type { MountTable } from "./mount-table.ts";

/** Folders kept; with more, those that were asked for first are forgotten. */
const FOLDERS_MAX = 1_000;

interface Known {
  /** When a name in it came or went last. */
  readonly mtimeNs: bigint | undefined;
  /** Nothing came or went between two looks: so nothing did within the tick of the first one either. */
  readonly isSure: boolean;
  readonly inodes: FolderInodes;
}

/** What is in folders, for all tasks of an agent: a folder is read again only when names in it came or went. */
export class FolderIndex {
  readonly #known = new Map<string, Known>();
  readonly #mounts: MountTable;

  constructor(mounts: MountTable) {
    this.#mounts = mounts;
  }

  /** It has turned out that what is known of it is not true any more. */
  forget(folder: string): void {
    this.#known.delete(folder);
  }

  async look(folder: string): Promise<FolderInodes> {
    const mayFollow = (path: string) => this.#mounts.refusalBehind(path) === undefined;
    if (!mayFollow(folder)) return { files: new Map(), folders: [], isComplete: false };
    const mtimeNs = namesChangedAt(folder);
    const known = this.#known.get(folder);
    const isSame = mtimeNs !== undefined && known?.mtimeNs === mtimeNs;
    if (isSame && known.isSure) return known.inodes;
    const inodes = await inodesIn(folder, { mayFollow });
    this.#known.delete(folder);
    this.#known.set(folder, { mtimeNs, isSure: isSame && inodes.isComplete, inodes });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= FOLDERS_MAX) break;
      this.#known.delete(oldest);
    }
    return inodes;
  }
}
