import { ByteSemaphore } from "../../base/byte-semaphore.ts";

/** What a busy file is read into at a time. */
export const LARGE_CHUNK_BYTES = 1024 * 1024;
/** What a file with little to read, or whose topic is stuck, is read into. */
export const SMALL_CHUNK_BYTES = 64 * 1024;
/** Bytes of all chunks of an agent at one time. */
export const CHUNK_POOL_BYTES = 64 * 1024 * 1024;
/** Lines found in a chunk at a time; the rest of the chunk follows in a second round. */
const LINES_PER_LARGE_CHUNK = 16 * 1024;
const LINES_PER_SMALL_CHUNK = 4 * 1024;
/** Of the pool, kept in chunks of each size when nobody waits for one; and so many of them at most. */
const SPARE_SHARE = 1 / 4;
const SPARE_CHUNKS_MAX = 16;

/** A buffer to read into, and room for the spans of its lines. Whoever acquired it owns it until it is released. */
export interface Chunk {
  readonly bytes: Buffer;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/**
 * Buffers for reading, bounded in bytes for the whole agent and given out first come, first served: files that are busy at
 * the same time take turns of one chunk each, which is what makes reading fair by bytes.
 */
export class ChunkPool {
  readonly #bytes: ByteSemaphore;
  readonly #spares = new Map<number, Chunk[]>();

  constructor(limitBytes: number = CHUNK_POOL_BYTES) {
    this.#bytes = new ByteSemaphore(limitBytes);
  }

  /**
   * Bounds the chunks by another number of bytes from now on; 0: nobody gets one. What is kept for later users is given back.
   */
  resize(limitBytes: number): void {
    this.#spares.clear();
    this.#bytes.resize(limitBytes);
  }

  get heldBytes(): number {
    return this.#bytes.heldBytes;
  }

  /** Files that wait for a chunk. */
  get waiting(): number {
    return this.#bytes.waiting;
  }

  /** A chunk of at least `bytes`. Rejects with the signal's reason. */
  async acquire(bytes: number, options: { readonly signal: AbortSignal }): Promise<Chunk> {
    const capacity = capacityFor(bytes);
    await this.#bytes.acquire(capacity, options);
    return this.#spares.get(capacity)?.pop() ?? newChunk(capacity);
  }

  release(chunk: Chunk): void {
    const capacity = chunk.bytes.byteLength;
    const spares = this.#spares.get(capacity) ?? [];
    if (capacity <= LARGE_CHUNK_BYTES) spares.push(chunk);
    const keptMax = Math.min(SPARE_CHUNKS_MAX, Math.floor((this.#bytes.limitBytes * SPARE_SHARE) / capacity));
    if (this.#bytes.waiting === 0 || this.#bytes.limitBytes === 0) spares.splice(keptMax);
    this.#spares.set(capacity, spares);
    this.#bytes.release(capacity);
  }
}

function capacityFor(bytes: number): number {
  if (bytes <= SMALL_CHUNK_BYTES) return SMALL_CHUNK_BYTES;
  return Math.ceil(bytes / LARGE_CHUNK_BYTES) * LARGE_CHUNK_BYTES;
}

function newChunk(capacity: number): Chunk {
  const lines = capacity <= SMALL_CHUNK_BYTES ? LINES_PER_SMALL_CHUNK : LINES_PER_LARGE_CHUNK;
  return {
    bytes: Buffer.allocUnsafeSlow(capacity),
    starts: new Uint32Array(lines),
    ends: new Uint32Array(lines),
  };
}
