import BTreeModule from "sorted-btree";
import { CodedError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { checkFormatVersion } from "./format.ts";
import { bytesFromLatin1, latin1FromBytes } from "./latin1.ts";
import { Overlay } from "./overlay.ts";
import { type Backend, type BackendPair, BUCKETS, type Bucket } from "./port.ts";
import type { WriteLayer } from "./write-layer.ts";

const BTree = BTreeModule.default;
type Tree = InstanceType<typeof BTree<string, Uint8Array>>;

/** Estimated cost of a pair beside its bytes, for size(). */
const PAIR_OVERHEAD_BYTES = 16;

/** What survives a crash of a {@link MemBackend}: the committed pairs. Open a new backend over it to "restart". */
export class MemFile {
  readonly buckets: ReadonlyMap<Bucket, Tree> = new Map(BUCKETS.map((bucket) => [bucket, new BTree()]));
  /** Copies that were made of it, by path. */
  readonly copies = new Map<string, MemFile>();

  tree(bucket: Bucket): Tree {
    return this.buckets.get(bucket) as Tree;
  }
}

export interface MemBackendOptions {
  /** The "disk"; empty by default. */
  readonly file?: MemFile;
  /** Awaited by each commit before it takes effect: where a simulator puts its delay, or a crash. */
  readonly beforeCommit?: () => Promise<void>;
}

/** A backend in memory that forgets, when it crashes, what was not committed: for tests and the simulator. */
export class MemBackend implements Backend {
  readonly file: MemFile;
  readonly #beforeCommit: () => Promise<void>;
  readonly #overlay = new Overlay();
  #commits: Promise<void> = Promise.resolve();
  #state: "open" | "closing" | "closed" | "crashed" = "open";

  /** Throws CodedError EFORMAT when the file is of a newer version. */
  constructor(options: MemBackendOptions = {}) {
    this.file = options.file ?? new MemFile();
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
    if (this.file.copies.has(path)) {
      throw new CodedError("EEXIST", `Cannot copy backend to ${path}: it exists, expected a new file`);
    }
    const copy = new MemFile();
    for (const [bucket, tree] of this.file.buckets) copy.tree(bucket).setPairs(tree.toArray());
    this.file.copies.set(path, copy);
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    const last = this.commit();
    this.#state = "closing";
    await last;
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
    if (this.#state === "crashed") await never();
    for (const bucket of BUCKETS) {
      const tree = this.file.tree(bucket);
      for (const [key, write] of layer.in(bucket).entries()) {
        if (write === null) tree.delete(key);
        else tree.set(key, write);
      }
    }
    this.#overlay.drop(layer);
  }

  #assertOpen(): void {
    invariant(this.#state === "open", `the backend is open, not ${this.#state}`);
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

function* pairsOf(tree: Tree, from: Uint8Array, to: Uint8Array | undefined): Generator<BackendPair> {
  const end = to === undefined ? undefined : latin1FromBytes(to);
  for (const [key, value] of tree.entries(latin1FromBytes(from))) {
    if (end !== undefined && key >= end) return;
    yield { key: bytesFromLatin1(key), value };
  }
}
