import { dirname } from "node:path";
import { readWholeFile } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { CodedError, errorCode } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { checkFormatVersion } from "./format.ts";
import { bytesFromLatin1, latin1FromBytes } from "./latin1.ts";
import { decodeMemFile, encodeMemFile, MemFile, type MemTree } from "./mem-file.ts";
import { Overlay } from "./overlay.ts";
import { type Backend, type BackendPair, BUCKETS, type Bucket } from "./port.ts";
import type { WriteLayer } from "./write-layer.ts";

export { MemFile } from "./mem-file.ts";

/** Estimated cost of a pair beside its bytes, for size(). */
const PAIR_OVERHEAD_BYTES = 16;

export interface MemBackendOptions {
  /** The committed content; empty by default. */
  readonly file?: MemFile;
  /** Where copies go and come from; without one there are none. */
  readonly disk?: Disk;
  /** Awaited by each commit and install before it takes effect: where a simulator puts its delay, or a crash. */
  readonly beforeCommit?: () => Promise<void>;
}

/** A backend in memory that forgets, when it crashes, what was not committed: for tests and the simulator. */
export class MemBackend implements Backend {
  readonly file: MemFile;
  readonly #disk: Disk | undefined;
  readonly #beforeCommit: () => Promise<void>;
  readonly #overlay = new Overlay();
  #commits: Promise<void> = Promise.resolve();
  #state: "open" | "installing" | "closing" | "closed" | "crashed" = "open";

  /** Throws CodedError EFORMAT when the file is of a newer version. */
  constructor(options: MemBackendOptions = {}) {
    this.file = options.file ?? new MemFile();
    this.#disk = options.disk;
    this.#beforeCommit = options.beforeCommit ?? (() => Promise.resolve());
    const meta = this.file.tree("meta");
    checkFormatVersion(
      {
        get: (_, key) => meta.get(latin1FromBytes(key)),
        put: (_, key, value) => meta.set(latin1FromBytes(key), value),
      },
      "in memory",
    );
  }

  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen();
    const write = this.#overlay.get(bucket, key);
    if (write !== undefined) return write ?? undefined;
    return this.file.tree(bucket).get(latin1FromBytes(key));
  }

  range(bucket: Bucket, from: Uint8Array, to: Uint8Array | undefined, limit: number): Iterable<BackendPair> {
    this.#assertOpen();
    return this.#overlay.merge(bucket, { from, to }, limit, pairsOf(this.file.tree(bucket), from, to));
  }

  put(bucket: Bucket, key: Uint8Array, value: Uint8Array): void {
    this.#assertOpen();
    this.#overlay.set(bucket, key, value);
  }

  delete(bucket: Bucket, key: Uint8Array): void {
    this.#assertOpen();
    this.#overlay.set(bucket, key, null);
  }

  commit(): Promise<void> {
    if (this.#state === "crashed") return never();
    this.#assertOpen();
    const layer = this.#overlay.freeze();
    this.#commits = this.#commits.then(() => this.#land(layer));
    return this.#commits;
  }

  get pendingBytes(): number {
    return this.#overlay.pendingBytes;
  }

  size(): { readonly totalBytes: number; readonly inUseBytes: number } {
    let bytes = 0;
    for (const tree of this.file.buckets.values()) {
      for (const [key, value] of tree.entries()) bytes += key.length + value.byteLength + PAIR_OVERHEAD_BYTES;
    }
    return { totalBytes: bytes, inUseBytes: bytes };
  }

  async copy(path: string): Promise<void> {
    this.#assertOpen();
    const disk = this.#copiesDisk();
    const content = encodeMemFile(this.file);
    if (await exists(disk, path)) {
      throw new CodedError("EEXIST", `Cannot copy backend to ${path}: it exists, expected a new file`);
    }
    const file = await disk.open(path, { create: true });
    try {
      await file.write([content], 0);
    } finally {
      await file.close();
    }
  }

  async openCopy(path: string): Promise<Backend> {
    const disk = this.#copiesDisk();
    const file = decodeMemFile(await readWholeFile(disk, path), path);
    return new CopyInMemory(file, { disk, path });
  }

  async install(path: string): Promise<void> {
    this.#assertOpen();
    this.#state = "installing";
    this.#overlay.forget();
    await this.#commits;
    const disk = this.#copiesDisk();
    const content = decodeMemFile(await readWholeFile(disk, path), path);
    await this.#beforeCommit();
    await this.#neverAfterCrash();
    this.file.replaceBy(content);
    await disk.remove(path);
    await disk.syncFolder(dirname(path));
    await this.#neverAfterCrash();
    this.#state = "open";
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    await this.#commits;
    if (this.#state === "closing") this.#state = "closed";
  }

  /**
   * The process dies: what was not committed is gone, commits under way (and those that the dead still ask for) never
   * settle, and nothing else may be called any more. `file` stays as it is.
   */
  crash(): void {
    this.#state = "crashed";
  }

  async #land(layer: WriteLayer): Promise<void> {
    await this.#beforeCommit();
    await this.#neverAfterCrash();
    for (const bucket of BUCKETS) {
      const tree = this.file.tree(bucket);
      for (const [key, write] of layer.in(bucket).entries()) {
        if (write === null) tree.delete(key);
        else tree.set(key, write);
      }
    }
    this.#overlay.drop(layer);
  }

  async #neverAfterCrash(): Promise<void> {
    if (this.#state === "crashed") await never();
  }

  #copiesDisk(): Disk {
    invariant(this.#disk !== undefined, "a backend in memory has a disk for its copies");
    return this.#disk;
  }

  #assertOpen(): void {
    invariant(this.#state === "open", `the backend is open, not ${this.#state}`);
  }
}

/** A copy that is looked into, or changed: its commits go to its file. */
class CopyInMemory extends MemBackend {
  readonly #disk: Disk;
  readonly #path: string;

  constructor(file: MemFile, place: { readonly disk: Disk; readonly path: string }) {
    super({ file, disk: place.disk });
    this.#disk = place.disk;
    this.#path = place.path;
  }

  override async commit(): Promise<void> {
    const isChanged = this.pendingBytes > 0;
    await super.commit();
    if (!isChanged) return;
    const file = await this.#disk.open(this.#path, { create: false });
    try {
      await file.truncate(0);
      await file.write([encodeMemFile(this.file)], 0);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

async function exists(disk: Disk, path: string): Promise<boolean> {
  try {
    await (await disk.open(path, { create: false })).close();
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

function* pairsOf(tree: MemTree, from: Uint8Array, to: Uint8Array | undefined): Generator<BackendPair> {
  const end = to === undefined ? undefined : latin1FromBytes(to);
  for (const [key, value] of tree.entries(latin1FromBytes(from))) {
    if (end !== undefined && key >= end) return;
    yield { key: bytesFromLatin1(key), value };
  }
}
