/** A caller that waits for a value until a deadline or its signal; it is settled once, and later tries do nothing. */
export class PendingCall<T> {
  readonly promise: Promise<T>;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;

  /** `onAbort` runs when the signal ends the wait, so that the owner forgets the call. */
  constructor(options: {
    readonly deadlineMs: number;
    readonly signal: AbortSignal;
    readonly onAbort: () => void;
  }) {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.promise = promise;
    this.deadlineMs = options.deadlineMs;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = options.signal;
    this.#onAbort = () => {
      reject(options.signal.reason);
      options.onAbort();
    };
    this.#signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  resolve(value: T): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#resolve(value);
  }

  reject(reason: unknown): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#reject(reason);
  }
}
