import { open as openFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { asBuffer } from "../../base/as-buffer.ts";
import { CodedError, errorCode, errorMessage } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { nodeDisk } from "../../base/node-disk.ts";
import { checkFormatVersion } from "./format.ts";
import { bytesFromLatin1 } from "./latin1.ts";
import { checkLmdbFile } from "./lmdb-file.ts";
import { Overlay } from "./overlay.ts";
import { type Backend, type BackendPair, BUCKETS, type Bucket } from "./port.ts";
import type { WriteLayer } from "./write-layer.ts";

type Bytes = Database<Buffer, Buffer>;

const BINARY = { keyEncoding: "binary", encoding: "binary", cache: false } as const;

/**
 * The backend in an LMDB file, a bucket a sub-database. LMDB shows a write only once its transaction is committed; until
 * then reads find it in the overlay. One commit is one transaction, written and synced by LMDB's own thread.
 */
export class LmdbBackend implements Backend {
  readonly #path: string;
  readonly #overlay = new Overlay();
  readonly #copies = new Set<Promise<void>>();
  #env: RootDatabase<Buffer, Buffer>;
  #buckets: ReadonlyMap<Bucket, Bytes>;
  #commits: Promise<void> = Promise.resolve();
  #isInstalling = false;
  /** The environment is closed: LMDB would not say so, but crash. */
  #isDetached = false;
  /** A copy's lock file goes with it. */
  #isCopy = false;
  #size: { readonly totalBytes: number; readonly inUseBytes: number };
  #closed: Promise<void> | undefined;

  private constructor(path: string, env: RootDatabase<Buffer, Buffer>) {
    this.#path = path;
    this.#env = env;
    this.#buckets = openBuckets(env);
    this.#size = this.#measure();
  }

  /**
   * Opens the file, or makes it; its folder must exist and belong to this process alone (base/folder-lock.ts). Throws
   * CodedError: EFORMAT for a file that is not ours or of a newer version, ENOENT, EACCES, EOPEN.
   */
  static async open(path: string): Promise<LmdbBackend> {
    await checkLmdbFile(path);
    const backend = new LmdbBackend(path, openEnvironment(path));
    try {
      checkFormatVersion(backend, path);
      await backend.commit();
    } catch (error) {
      await backend.#env.close();
      throw error;
    }
    return backend;
  }

  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    const write = this.#overlay.get(bucket, key);
    if (write !== undefined) return write ?? undefined;
    return this.#bucket(bucket).get(asBuffer(key));
  }

  range(bucket: Bucket, from: Uint8Array, to: Uint8Array | undefined, limit: number): Iterable<BackendPair> {
    const pairs = this.#bucket(bucket).getRange({
      start: asBuffer(from),
      ...(to === undefined ? {} : { end: asBuffer(to) }),
    });
    return this.#overlay.merge(bucket, { from, to }, limit, pairs);
  }

  put(bucket: Bucket, key: Uint8Array, value: Uint8Array): void {
    this.#overlay.set(bucket, key, value);
  }

  delete(bucket: Bucket, key: Uint8Array): void {
    this.#overlay.set(bucket, key, null);
  }

  commit(): Promise<void> {
    this.#requireOpen();
    const layer = this.#overlay.freeze();
    this.#commits = this.#commits.then(() => this.#write(layer));
    return this.#commits;
  }

  get pendingBytes(): number {
    return this.#overlay.pendingBytes;
  }

  size(): { readonly totalBytes: number; readonly inUseBytes: number } {
    return this.#size;
  }

  async copy(path: string): Promise<void> {
    this.#requireOpen();
    if (await exists(path)) {
      throw new CodedError("EEXIST", `Cannot copy backend to ${path}: it exists, expected a new file`);
    }
    this.#requireOpen();
    // A read transaction in a thread of libuv's: LMDB gives it the last commit, and lets writers go on.
    const copying = this.#env.backup(path, true);
    this.#copies.add(copying);
    await copying.finally(() => this.#copies.delete(copying));
  }

  async openCopy(path: string): Promise<Backend> {
    if (!(await exists(path)))
      throw new CodedError("ENOENT", `Cannot open backend ${path}: there is no file`);
    const copy = await LmdbBackend.open(path);
    copy.#isCopy = true;
    return copy;
  }

  async install(path: string): Promise<void> {
    this.#requireOpen();
    this.#isInstalling = true;
    this.#overlay.forget();
    await this.#commits;
    await Promise.allSettled(this.#copies);
    // While somebody holds it, giving back the blocks of the old file is not this thread's work.
    const old = await openFile(this.#path);
    try {
      this.#isDetached = true;
      await this.#env.close();
      await rm(lockFileOf(this.#path), { force: true });
      await rename(path, this.#path);
      await nodeDisk.syncFolder(dirname(this.#path));
      await nodeDisk.syncFolder(dirname(path));
    } finally {
      await old.close();
    }
    this.#env = openEnvironment(this.#path);
    this.#buckets = openBuckets(this.#env);
    this.#isInstalling = false;
    this.#isDetached = false;
    checkFormatVersion(this, this.#path);
    this.#size = this.#measure();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      await this.#commits;
      await Promise.allSettled(this.#copies);
    } finally {
      await this.#env.close();
      if (this.#isCopy) await rm(lockFileOf(this.#path), { force: true });
    }
  }

  #requireOpen(): void {
    invariant(this.#closed === undefined && !this.#isInstalling, "the backend is open");
  }

  async #write(layer: WriteLayer): Promise<void> {
    if (!layer.isEmpty) {
      await this.#writeInOneTransaction(layer);
      this.#size = this.#measure();
    }
    this.#overlay.drop(layer);
  }

  /** LMDB's binding puts all writes of one turn of the event loop into one transaction, and gives them one promise. */
  async #writeInOneTransaction(layer: WriteLayer): Promise<void> {
    let committed: Promise<boolean> | undefined;
    for (const bucket of BUCKETS) {
      const database = this.#bucket(bucket);
      for (const [key, write] of layer.in(bucket).entries()) {
        const keyBytes = bytesFromLatin1(key);
        committed = write === null ? database.remove(keyBytes) : database.put(keyBytes, asBuffer(write));
      }
    }
    try {
      await committed;
    } catch (error) {
      throw new CodedError("ECOMMIT", `Cannot commit to backend ${this.#path}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  #bucket(bucket: Bucket): Bytes {
    if (this.#isDetached) invariant(false, "nothing is read while a file is installed");
    return this.#buckets.get(bucket) as Bytes;
  }

  #measure(): { readonly totalBytes: number; readonly inUseBytes: number } {
    const root = this.#env.getStats() as EnvironmentStats;
    const trees: TreeStats[] = [root, root.free];
    for (const bucket of this.#buckets.values()) trees.push(bucket.getStats() as TreeStats);
    let pages = META_PAGES;
    for (const tree of trees) pages += tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
    return {
      totalBytes: (root.lastPageNumber + 1) * root.pageSize,
      inUseBytes: pages * root.pageSize,
    };
  }
}

const META_PAGES = 2;

interface TreeStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface EnvironmentStats extends TreeStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly free: TreeStats;
}

function openEnvironment(path: string): RootDatabase<Buffer, Buffer> {
  try {
    return open<Buffer, Buffer>({
      path,
      noSubdir: true,
      maxDbs: BUCKETS.length,
      // A commit's promise means "synced"; with overlapping syncs it would only mean "visible".
      overlappingSync: false,
      ...BINARY,
    });
  } catch (error) {
    throw new CodedError("EOPEN", `Cannot open backend ${path}: ${errorMessage(error)}`, { cause: error });
  }
}

function openBuckets(env: RootDatabase<Buffer, Buffer>): ReadonlyMap<Bucket, Bytes> {
  return new Map(BUCKETS.map((bucket) => [bucket, env.openDB<Buffer, Buffer>({ name: bucket, ...BINARY })]));
}

function lockFileOf(path: string): string {
  return `${path}-lock`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}
