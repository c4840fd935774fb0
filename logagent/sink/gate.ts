interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Something that many wait for and that may become untrue again. Starts shut. */
export class Gate {
  #isOpen = false;
  readonly #waiters = new Set<Waiter>();

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
  }

  shut(): void {
    this.#isOpen = false;
  }

  /** Resolves when it is or becomes open; rejects with the signal's reason. */
  wait(options: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#isOpen) return Promise.resolve();
    const { signal } = options;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters.delete(waiter);
        reject(signal.reason);
      };
      const done = () => signal.removeEventListener("abort", onAbort);
      const waiter: Waiter = {
        resolve: () => {
          done();
          resolve();
        },
        reject: (reason) => {
          done();
          reject(reason);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** Ends every wait with `reason`. */
  fail(reason: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(reason);
    this.#waiters.clear();
  }
}
