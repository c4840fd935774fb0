import { compareLatin1 } from "./latin1.ts";
import { BUCKETS, type Bucket } from "./port.ts";

/** A write to one key: the value, or null for "deleted". */
export type Write = Uint8Array | null;

/** Writes that become durable together, by bucket; keys are latin1 strings (latin1.ts). */
export class WriteLayer {
  readonly #buckets = new Map<Bucket, SortedWrites>(BUCKETS.map((bucket) => [bucket, new SortedWrites()]));
  #bytes = 0;

  /** Bytes of keys and values written, each time they were. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  set(bucket: Bucket, key: string, write: Write): void {
    this.in(bucket).set(key, write);
    this.#bytes += key.length + (write?.byteLength ?? 0);
  }

  in(bucket: Bucket): SortedWrites {
    return this.#buckets.get(bucket) as SortedWrites;
  }
}

/**
 * A map that can be walked in key order. Almost every write appends (revisions grow), so the order is a list that is
 * pushed to, and sorted again only when it is asked for after an insertion elsewhere.
 */
export class SortedWrites {
  readonly #writes = new Map<string, Write>();
  readonly #keys: string[] = [];
  #lastKey = "";
  #sorted = true;

  get size(): number {
    return this.#keys.length;
  }

  get(key: string): Write | undefined {
    return this.#writes.get(key);
  }

  set(key: string, write: Write): void {
    this.#writes.set(key, write);
    if (this.#writes.size === this.#keys.length) return;
    this.#keys.push(key);
    if (key < this.#lastKey) this.#sorted = false;
    else this.#lastKey = key;
  }

  entries(): Iterable<[string, Write]> {
    return this.#writes;
  }

  /** Keys in order, and the position of the first one at or above `from`; the list is the layer's own. */
  from(from: string): { readonly keys: readonly string[]; readonly start: number } {
    if (!this.#sorted) {
      this.#keys.sort(compareLatin1);
      this.#sorted = true;
    }
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < from) low = middle + 1;
      else high = middle;
    }
    return { keys: this.#keys, start: low };
  }
}
