/**
 * When each of many files is to be looked at next. Whoever asks which are due touches no other one: an entry may hold thousands, and a
 * hint be about one of them. Times are kept in order, and thousands of files share one.
 */
export class LooksDue<File> {
  readonly #dueMs = new Map<File, number>();
  /** No set is empty. */
  readonly #byTime = new Map<number, Set<File>>();
  /** The keys of `#byTime`, ascending. */
  readonly #times: number[] = [];
  readonly #always = new Set<File>();

  /** When the first of them is due; infinite when there is none. */
  get firstMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  /** It is due at `dueMs`, and at no other time. */
  set(file: File, dueMs: number): void {
    const before = this.#dueMs.get(file);
    if (before === dueMs) return;
    if (before !== undefined) this.#leave(file, before);
    this.#dueMs.set(file, dueMs);
    const known = this.#byTime.get(dueMs);
    if (known !== undefined) {
      known.add(file);
      return;
    }
    this.#byTime.set(dueMs, new Set([file]));
    this.#times.splice(this.#placeOf(dueMs), 0, dueMs);
  }

  /** Is it due whenever somebody asks, besides? `firstMs` is not about that. */
  setAlways(file: File, isAlways: boolean): void {
    if (isAlways) this.#always.add(file);
    else this.#always.delete(file);
  }

  /** It is not looked at any more. */
  delete(file: File): void {
    const before = this.#dueMs.get(file);
    if (before !== undefined) this.#leave(file, before);
    this.#dueMs.delete(file);
    this.#always.delete(file);
  }

  /**
   * Those that are due at `nowMs`, each once, the one that has been due longest first. Times may change meanwhile: whoever becomes
   * due by that comes as well, and whoever is no longer due, or deleted, may still come.
   */
  *due(nowMs: number): Iterable<File> {
    const came = new Set<File>();
    for (;;) {
      const files = [...this.#dueNow(nowMs), ...this.#always].filter((file) => !came.has(file));
      if (files.length === 0) return;
      for (const file of files) {
        if (came.has(file)) continue;
        came.add(file);
        yield file;
      }
    }
  }

  *#dueNow(nowMs: number): Iterable<File> {
    for (const dueMs of this.#times) {
      if (dueMs > nowMs) return;
      yield* this.#byTime.get(dueMs) ?? [];
    }
  }

  #leave(file: File, dueMs: number): void {
    const files = this.#byTime.get(dueMs);
    files?.delete(file);
    if (files?.size !== 0) return;
    this.#byTime.delete(dueMs);
    this.#times.splice(this.#placeOf(dueMs), 1);
  }

  /** Where a time is, or belongs. */
  #placeOf(dueMs: number): number {
    let from = 0;
    let to = this.#times.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#times[middle] ?? dueMs) < dueMs) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
