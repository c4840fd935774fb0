import type { Logger } from "../../base/log.ts";

/** Sentences shown in a status; more are only counted. */
const SHOWN_MAX = 10;
/** Distinct problems kept at a time. */
const KEPT_MAX = 1_000;

/** The trouble of one task, by what it is about (a path, mostly): logged when it appears, gone when it is over. */
export class Problems {
  readonly #logger: Logger;
  readonly #sentences = new Map<string, string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  set(about: string, sentence: string): void {
    if (this.#sentences.get(about) === sentence) return;
    if (this.#sentences.size >= KEPT_MAX && !this.#sentences.has(about)) return;
    this.#sentences.set(about, sentence);
    this.#logger.warn({ about, problem: sentence }, "problem with files");
  }

  clear(about: string): void {
    if (this.#sentences.delete(about)) this.#logger.info({ about }, "problem with files is over");
  }

  /** Clears what is about anything else than these, among the things that start with `prefix`. */
  clearOthers(prefix: string, stillThere: ReadonlySet<string>): void {
    for (const about of [...this.#sentences.keys()]) {
      if (about.startsWith(prefix) && !stillThere.has(about)) this.clear(about);
    }
  }

  list(): readonly string[] {
    const all = [...this.#sentences.values()];
    const more = all.length - SHOWN_MAX;
    return more > 0 ? [...all.slice(0, SHOWN_MAX), `And ${more} problems more`] : all;
  }
}
