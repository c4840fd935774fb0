/** Revisions that reads in steps are still reading: compaction past them waits. */
export class ReadPins {
  readonly #counts = new Map<number, number>();

  add(revision: number): void {
    this.#counts.set(revision, (this.#counts.get(revision) ?? 0) + 1);
  }

  remove(revision: number): void {
    const count = this.#counts.get(revision) ?? 0;
    if (count <= 1) this.#counts.delete(revision);
    else this.#counts.set(revision, count - 1);
  }

  /** Some read is below `revision`. */
  below(revision: number): boolean {
    for (const pinned of this.#counts.keys()) if (pinned < revision) return true;
    return false;
  }
}
