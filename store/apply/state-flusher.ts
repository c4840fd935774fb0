import type { Backend } from "../backend/port.ts";
import type { EntryBoundary } from "./entry-boundary.ts";

/** Makes the state durable, whole entries at a time. */
export class StateFlusher {
  readonly #backend: Pick<Backend, "commit">;
  readonly #boundary: EntryBoundary;
  readonly #appliedIndex: () => number;
  #flushedIndex: number;
  #flushing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: {
    readonly backend: Pick<Backend, "commit">;
    readonly boundary: EntryBoundary;
    readonly appliedIndex: () => number;
  }) {
    this.#backend = options.backend;
    this.#boundary = options.boundary;
    this.#appliedIndex = options.appliedIndex;
    this.#flushedIndex = options.appliedIndex();
  }

  /** Index of the last entry that a finished commit covers. */
  get flushedIndex(): number {
    return this.#flushedIndex;
  }

  /** Calls made while one is under way share the next one. */
  flush(): Promise<void> {
    if (this.#flushing === undefined) return this.#flushNow();
    this.#next ??= this.#flushing.then(() => {
      this.#next = undefined;
      return this.#flushNow();
    });
    return this.#next;
  }

  /** Waits for those that were asked for. */
  async settled(): Promise<void> {
    while (this.#flushing !== undefined) await (this.#next ?? this.#flushing);
  }

  /** The backend's content was replaced, durably. */
  replaced(): void {
    this.#flushedIndex = this.#appliedIndex();
  }

  /** A rejected flush stays in the way of the next ones: what the file holds is unknown. */
  #flushNow(): Promise<void> {
    this.#flushing = this.#commit().then((index) => {
      this.#flushedIndex = index;
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #commit(): Promise<number> {
    while (!this.#boundary.isBetweenEntries) await this.#boundary.next();
    const index = this.#appliedIndex();
    await this.#backend.commit();
    return index;
  }
}
