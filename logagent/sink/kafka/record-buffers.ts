import { invariant } from "../../../base/invariant.ts";

const SMALLEST_BYTES = 16 * 1024;
const STEP_BYTES = 1024 * 1024;
/** Memory kept for the next user, so that the kernel need not clear fresh pages for every batch: so much at most. */
const SPARE_BYTES_MAX = 16 * 1024 * 1024;

/** Buffers for batches: sizes are powers of two up to 1 MiB, above that whole MiB. */
export class RecordBuffers {
  readonly #spares = new Map<number, Buffer[]>();
  #spareBytes = 0;
  #spareBytesMax = SPARE_BYTES_MAX;

  /** A buffer of at least `bytes`; its content is arbitrary. */
  acquire(bytes: number): Buffer {
    const capacity = capacityFor(bytes);
    const spare = this.#spares.get(capacity)?.pop();
    if (spare === undefined) return Buffer.allocUnsafeSlow(capacity);
    this.#spareBytes -= capacity;
    return spare;
  }

  /** Keeps no more than `bytes` for later users from now on, and gives back what is kept. */
  limitSpares(bytes: number): void {
    this.#spareBytesMax = Math.min(bytes, SPARE_BYTES_MAX);
    this.#spares.clear();
    this.#spareBytes = 0;
  }

  /** Takes back a buffer that nobody reads or writes any more. */
  release(buffer: Buffer): void {
    const capacity = buffer.length;
    invariant(capacity === capacityFor(capacity), `a buffer of ${capacity} bytes was acquired here`);
    if (capacity > STEP_BYTES || this.#spareBytes + capacity > this.#spareBytesMax) return;
    const spares = this.#spares.get(capacity) ?? [];
    spares.push(buffer);
    this.#spares.set(capacity, spares);
    this.#spareBytes += capacity;
  }
}

function capacityFor(bytes: number): number {
  if (bytes > STEP_BYTES) return Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
  if (bytes <= SMALLEST_BYTES) return SMALLEST_BYTES;
  return 2 ** Math.ceil(Math.log2(bytes));
}
