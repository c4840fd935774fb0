/**
 * One promise for all who ask, begun by the first. One that rejects is forgotten, and the next who asks begins anew: whoever
 * asked meanwhile has the rejection.
 */
export class SharedPromise<Value> {
  readonly #begin: () => Promise<Value>;
  #promise: Promise<Value> | undefined;

  constructor(begin: () => Promise<Value>) {
    this.#begin = begin;
  }

  get(): Promise<Value> {
    if (this.#promise === undefined) {
      const promise = this.#begin();
      this.#promise = promise;
      promise.catch(() => this.forget(promise));
    }
    return this.#promise;
  }

  /** The next who asks begins anew; false when `promise` is not the one that is shared, any more. */
  forget(promise: Promise<Value>): boolean {
    if (this.#promise !== promise) return false;
    this.#promise = undefined;
    return true;
  }

  /** Forgets it, and returns it. */
  take(): Promise<Value> | undefined {
    const promise = this.#promise;
    this.#promise = undefined;
    return promise;
  }
}
