import { dirname, join } from "node:path";
import { ByteSemaphore } from "../../base/byte-semaphore.ts";
import type { Disk } from "../../base/disk.ts";
import { CodedError, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { removeLogId } from "../backend/log-id.ts";
import type { Backend } from "../backend/port.ts";
import { idText } from "../raft/id-text.ts";
import type { EntryId, SnapshotMeta } from "../raft/types.ts";
import { readFileStream, writeFileStream } from "./file-stream.ts";
import { formatSnapshotName, parseSnapshotName } from "./snapshot-name.ts";

/** Copies that are there at one time to be sent; who wants another one waits. */
const MADE_MAX = 2;
/** Snapshots that are being received, or were and are not installed; another one is refused. */
const RECEIVED_MAX = 2;

/** Tells what a backend's file holds. */
export type ReadSnapshotMeta = (content: Pick<Backend, "get">) => SnapshotMeta;

export interface SnapshotFolderOptions {
  readonly disk: Disk;
  /** Made when absent; nobody else's. */
  readonly folder: string;
  /** Whose copies it holds, and which opens those of others. */
  readonly backend: Pick<Backend, "copy" | "openCopy">;
  readonly readMeta: ReadSnapshotMeta;
  readonly logger: Logger;
}

/** A copy of the backend that is there to be sent. */
export interface MadeSnapshot {
  readonly meta: SnapshotMeta;
  readonly bytes: number;
  /** Its content, from the start; the chunks are the reader's. */
  open(): AsyncIterable<Uint8Array>;
  /** Idempotent. */
  remove(): Promise<void>;
}

/**
 * Snapshots as files: copies of this member's backend on their way to others, `<number>.send`, and copies of others'
 * that this one is to install, `<index>-<term>.db`. A received one is called `<index>-<term>.<number>.part` until it is
 * whole, checked and synced. What a crash leaves, and what the next start makes of it:
 *
 * 1. in the middle of a copy that is made or sent: a `.send`, which is removed;
 * 2. while a snapshot is received or checked: a `.part` (and LMDB's lock file beside it), which is removed;
 * 3. after the rename, before the folder is synced: the one or the other name;
 * 4. when it is received, and the log does not begin behind it yet: a `.db` that is stale, and removed;
 * 5. when the log begins behind it and the backend has not taken it over: a `.db`, which is installed (recoverSnapshot);
 * 6. when the backend has taken it over: nothing, or a `.db` that is stale, and removed.
 */
export class SnapshotFolder {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #backend: SnapshotFolderOptions["backend"];
  readonly #readMeta: ReadSnapshotMeta;
  readonly #logger: Logger;
  readonly #places = new ByteSemaphore(MADE_MAX);
  readonly #received = new Map<string, EntryId>();
  /** Paths that are about to be there, or to be gone. */
  readonly #changing = new Set<string>();
  #nextNumber = 1;

  private constructor(options: SnapshotFolderOptions) {
    this.#disk = options.disk;
    this.#folder = options.folder;
    this.#backend = options.backend;
    this.#readMeta = options.readMeta;
    this.#logger = options.logger;
  }

  /** Removes all that is not a received snapshot; those are for {@link recoverSnapshot}. */
  static async open(options: SnapshotFolderOptions): Promise<SnapshotFolder> {
    const { disk, folder } = options;
    await disk.makeFolder(folder);
    await disk.syncFolder(dirname(folder));
    const snapshots = new SnapshotFolder(options);
    for (const name of await disk.list(folder)) {
      const id = parseSnapshotName(name);
      if (id === undefined) await disk.remove(join(folder, name));
      else snapshots.#received.set(join(folder, name), id);
    }
    await disk.syncFolder(folder);
    return snapshots;
  }

  /**
   * Takes a snapshot's content; durable under its name when it resolves, with its path. The transport has checked that the
   * content is whole; here it is checked to be what `meta` says. Throws CodedError: ESNAPSHOT when it is not, or when there
   * are too many; EFORMAT when a newer version made it. Then nothing is left of it.
   */
  async receive(meta: SnapshotMeta, body: AsyncIterable<Uint8Array>): Promise<string> {
    const path = join(this.#folder, formatSnapshotName(meta));
    const there = new Set([...this.#received.keys(), ...this.#changing]).size;
    if (there >= RECEIVED_MAX) {
      throw new CodedError(
        "ESNAPSHOT",
        `Cannot receive snapshot ${path}: there are ${there}, expected less than ${RECEIVED_MAX}`,
      );
    }
    if (this.#changing.has(path)) {
      throw new CodedError(
        "ESNAPSHOT",
        `Cannot receive snapshot ${path}: another sender's is being received`,
      );
    }
    const part = path.replace(/db$/, `${this.#nextNumber++}.part`);
    this.#changing.add(path);
    try {
      await writeFileStream(this.#disk, part, body);
      await this.#adopt(part, meta);
      await this.#disk.rename(part, path);
      await this.#disk.syncFolder(this.#folder);
      this.#received.set(path, { index: meta.index, term: meta.term });
      return path;
    } catch (error) {
      await this.#discard(part);
      throw error;
    } finally {
      this.#changing.delete(path);
    }
  }

  /**
   * Removes one that was received and that nobody will install. When another sender's of the same name is being received it
   * stays, for that one.
   */
  async forget(id: EntryId): Promise<void> {
    const path = join(this.#folder, formatSnapshotName(id));
    if (!this.#received.has(path) || this.#changing.has(path)) return;
    this.#received.delete(path);
    this.#changing.add(path);
    try {
      await this.#disk.remove(path);
      await this.#disk.syncFolder(this.#folder);
    } finally {
      this.#changing.delete(path);
    }
  }

  /** The path of a received snapshot; undefined when there is none up to this entry. */
  find(id: EntryId): string | undefined {
    const path = join(this.#folder, formatSnapshotName(id));
    return this.#received.has(path) ? path : undefined;
  }

  /** Removes received snapshots up to `index`, installed or not: a state that has come that far has no use for them. */
  async removeUpTo(index: number): Promise<void> {
    const names = await this.#disk.list(this.#folder);
    for (const [path, id] of this.#received) {
      if (id.index > index) continue;
      this.#received.delete(path);
      if (names.includes(formatSnapshotName(id))) await this.#disk.remove(path);
    }
    await this.#disk.syncFolder(this.#folder);
  }

  /** Copies what the backend has committed; waits while there are too many copies. To be removed when it was sent. */
  async make(options: { readonly signal: AbortSignal }): Promise<MadeSnapshot> {
    await this.#places.acquire(1, options);
    const path = join(this.#folder, `${this.#nextNumber++}.send`);
    let removed: Promise<void> | undefined;
    const remove = () => {
      removed ??= this.#discard(path).finally(() => this.#places.release(1));
      return removed;
    };
    try {
      await this.#backend.copy(path);
      const meta = await this.#describe(path);
      const bytes = await this.#sizeOf(path);
      return { meta, bytes, open: () => readFileStream(this.#disk, path, bytes), remove };
    } catch (error) {
      await remove();
      throw error;
    }
  }

  /** Checks that the file holds what was announced, and makes it one of no log: it will be of this member's. */
  async #adopt(path: string, { index, term, confState }: SnapshotMeta): Promise<void> {
    const copy = await this.#backend.openCopy(path);
    try {
      const found = this.#readMeta(copy);
      const expected = describe({ index, term, confState });
      if (describe(found) !== expected) {
        throw new CodedError(
          "ESNAPSHOT",
          `Cannot receive snapshot ${path}: it holds ${describe(found)}, expected ${expected}`,
        );
      }
      removeLogId(copy);
      await copy.commit();
    } finally {
      await copy.close();
    }
  }

  async #describe(path: string): Promise<SnapshotMeta> {
    const copy = await this.#backend.openCopy(path);
    try {
      return this.#readMeta(copy);
    } finally {
      await copy.close();
    }
  }

  async #sizeOf(path: string): Promise<number> {
    const file = await this.#disk.open(path, { create: false });
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  }

  /** Never throws: what is left behind is removed at the next start. */
  async #discard(path: string): Promise<void> {
    try {
      const names = await this.#disk.list(this.#folder);
      for (const name of names) {
        if (join(this.#folder, name).startsWith(path)) await this.#disk.remove(join(this.#folder, name));
      }
    } catch (error) {
      this.#logger.warn({ path, reason: errorMessage(error) }, "could not remove a snapshot's file");
    }
  }
}

function describe({ index, term, confState }: SnapshotMeta): string {
  const ids = (list: readonly bigint[]) => list.map(idText).join(" ");
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = confState;
  const lists = [voters, votersOutgoing, learners, learnersNext].map(ids).join(" | ");
  return `entry ${index} of term ${term} with members ${lists}${autoLeave ? ", leaving a joint configuration" : ""}`;
}
