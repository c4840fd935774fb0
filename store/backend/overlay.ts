import { invariant } from "../../base/invariant.ts";
import { bytesFromLatin1, latin1FromBytes } from "./latin1.ts";
import type { BackendPair, Bucket } from "./port.ts";
import { type SortedWrites, type Write, WriteLayer } from "./write-layer.ts";

/**
 * What was written and is not yet in the file: the layer that takes writes, over the frozen ones whose commits are under
 * way. Reads look here first, newest layer first.
 */
export class Overlay {
  #pending = new WriteLayer();
  /** Oldest first. */
  readonly #frozen: WriteLayer[] = [];

  get pendingBytes(): number {
    return this.#frozen.reduce((sum, layer) => sum + layer.bytes, this.#pending.bytes);
  }

  set(bucket: Bucket, key: Uint8Array, write: Write): void {
    this.#pending.set(bucket, latin1FromBytes(key), write);
  }

  /** The newest write to a key; undefined when no layer holds one. */
  get(bucket: Bucket, key: Uint8Array): Write | undefined {
    const text = latin1FromBytes(key);
    const write = this.#pending.in(bucket).get(text);
    if (write !== undefined) return write;
    for (let i = this.#frozen.length - 1; i >= 0; i--) {
      const older = this.#frozen[i]?.in(bucket).get(text);
      if (older !== undefined) return older;
    }
    return undefined;
  }

  /** Ends the layer that takes writes and returns it; reads see it until it is dropped. */
  freeze(): WriteLayer {
    const layer = this.#pending;
    this.#frozen.push(layer);
    this.#pending = new WriteLayer();
    return layer;
  }

  /** Forgets what was written since the last layer was frozen. */
  forget(): void {
    this.#pending = new WriteLayer();
  }

  /** The file now holds the layer; layers are dropped in the order they were frozen. */
  drop(layer: WriteLayer): void {
    invariant(this.#frozen[0] === layer, "layers leave the overlay in the order they were frozen");
    this.#frozen.shift();
  }

  /**
   * The file's pairs, in order and from `from` on, with the layers' writes over them; at most `limit` (0: all). To be
   * walked in one turn of the event loop and without writing meanwhile.
   */
  *merge(
    bucket: Bucket,
    range: { readonly from: Uint8Array; readonly to: Uint8Array | undefined },
    limit: number,
    filePairs: Iterable<BackendPair>,
  ): Generator<BackendPair> {
    const layers = [this.#pending, ...this.#frozen.toReversed()].map((layer) => layer.in(bucket));
    const writes = new MergedWrites(
      layers,
      latin1FromBytes(range.from),
      range.to === undefined ? undefined : latin1FromBytes(range.to),
    );
    let given = 0;
    for (const pair of writes.key === undefined ? filePairs : mergePairs(writes, filePairs)) {
      yield pair;
      given += 1;
      if (given === limit) return;
    }
  }
}

function* mergePairs(writes: MergedWrites, filePairs: Iterable<BackendPair>): Generator<BackendPair> {
  for (const pair of filePairs) {
    const key = latin1FromBytes(pair.key);
    yield* writes.takeBelow(key);
    // A write to the same key takes the pair's place; it comes out with the next ones.
    if (writes.key !== key) yield pair;
  }
  yield* writes.takeBelow(undefined);
}

interface Cursor {
  readonly writes: SortedWrites;
  readonly keys: readonly string[];
  at: number;
}

/** Walks several layers' writes in key order; of writes to one key, the first layer's counts. */
class MergedWrites {
  readonly #cursors: readonly Cursor[];
  readonly #to: string | undefined;
  #key: string | undefined;

  constructor(layers: readonly SortedWrites[], from: string, to: string | undefined) {
    this.#cursors = layers.map((writes) => {
      const { keys, start } = writes.from(from);
      return { writes, keys, at: start };
    });
    this.#to = to;
    this.#findNext();
  }

  /** The key of the next write; undefined at the end. */
  get key(): string | undefined {
    return this.#key;
  }

  /** Takes the writes below `limitKey` (undefined: all) and yields those that are not deletions. */
  *takeBelow(limitKey: string | undefined): Generator<BackendPair> {
    while (this.#key !== undefined && (limitKey === undefined || this.#key < limitKey)) {
      const key = this.#key;
      const write = this.#take(key);
      if (write !== null) yield { key: bytesFromLatin1(key), value: write };
    }
  }

  #take(key: string): Write {
    let write: Write | undefined;
    for (const cursor of this.#cursors) {
      if (cursor.keys[cursor.at] !== key) continue;
      cursor.at += 1;
      if (write === undefined) write = cursor.writes.get(key);
    }
    this.#findNext();
    return write ?? null;
  }

  #findNext(): void {
    let least: string | undefined;
    for (const { keys, at } of this.#cursors) {
      const key = keys[at];
      if (key === undefined || (this.#to !== undefined && key >= this.#to)) continue;
      if (least === undefined || key < least) least = key;
    }
    this.#key = least;
  }
}
