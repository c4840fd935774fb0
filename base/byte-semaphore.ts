import { invariant } from "./invariant.ts";

interface Waiter {
  readonly bytes: number;
  readonly grant: () => void;
}

/**
 * Bounds bytes in flight. `acquire` waits, first come first served, until the bytes fit under the limit; one request
 * larger than the whole limit is let through alone, so that it cannot wait for ever.
 */
export class ByteSemaphore {
  #limitBytes: number;
  #heldBytes = 0;
  readonly #waiters: Waiter[] = [];

  constructor(limitBytes: number) {
    invariant(limitBytes > 0, `byte limit ${limitBytes} is above zero`);
    this.#limitBytes = limitBytes;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** What is held above a lower limit stays held; 0: nothing is given out until it is resized again. */
  resize(limitBytes: number): void {
    invariant(limitBytes >= 0, `byte limit ${limitBytes} is not below zero`);
    this.#limitBytes = limitBytes;
    this.#wake();
  }

  /** Bytes acquired and not yet released. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** Takes `bytes` at once and returns true, or takes nothing and returns false. Never overtakes a waiter. */
  tryAcquire(bytes: number): boolean {
    if (this.#waiters.length > 0 || !this.#fits(bytes)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Resolves once `bytes` are taken; rejects with the signal's reason, having taken nothing. */
  acquire(bytes: number, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.tryAcquire(bytes)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal.reason);
        this.#wake();
      };
      const waiter: Waiter = {
        bytes,
        grant: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Gives back what was acquired. */
  release(bytes: number): void {
    this.#heldBytes -= bytes;
    invariant(this.#heldBytes >= 0, `released ${bytes} bytes more than were held`);
    this.#wake();
  }

  #fits(bytes: number): boolean {
    if (this.#heldBytes === 0) return this.#limitBytes > 0;
    return this.#heldBytes + bytes <= this.#limitBytes;
  }

  #wake(): void {
    for (
      let first = this.#waiters[0];
      first !== undefined && this.#fits(first.bytes);
      first = this.#waiters[0]
    ) {
      this.#waiters.shift();
      this.#heldBytes += first.bytes;
      first.grant();
    }
  }
}
