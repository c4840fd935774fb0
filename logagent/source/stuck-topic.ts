import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** A delivery that waits so long gives its chunk back when others need one; at once when the sink knows why it waits. */
export const STUCK_AFTER_MS = 2_000;

/**
 * The files of one task that ship, and what becomes of them while their topic takes nothing: they give back the chunks that others
 * need, and from then on one of them at a time tries, with a small one, until the topic takes something again.
 */
export class StuckTopic {
  readonly #context: SourceContext;
  readonly #shipping = new Set<TailedFile>();
  #isStuck = false;

  constructor(context: SourceContext) {
    this.#context = context;
  }

  /** The topic took nothing for a while: read little. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  get isShipping(): boolean {
    return this.#shipping.size > 0;
  }

  /** May another file begin to ship? */
  get mayShip(): boolean {
    return !this.#isStuck || !this.isShipping;
  }

  began(file: TailedFile): void {
    this.#shipping.add(file);
  }

  ended(file: TailedFile): void {
    this.#shipping.delete(file);
  }

  /** The topic took something. */
  took(): void {
    this.#isStuck = false;
  }

  /** Gives up what waits for the topic, when it keeps a chunk that others need: it is tried again later. Asked once a poll. */
  free(nowMs: number): void {
    const { deps, entry } = this.#context;
    if (deps.chunks.waiting === 0) return;
    const isKnown = deps.sink.topic(entry.topic).kind === "waiting";
    const holdsUpOthers = ({ deliveringSinceMs }: TailedFile) =>
      deliveringSinceMs !== undefined && (isKnown || nowMs - deliveringSinceMs >= STUCK_AFTER_MS);
    const waiting = [...this.#shipping].filter(({ abort }) => !abort.signal.aborted);
    if (!waiting.some(holdsUpOthers)) return;
    this.#isStuck = true;
    // One for all of them: an error costs its stack trace.
    const reason = new Error("the topic takes nothing");
    for (const { abort } of waiting) abort.abort(reason);
  }
}
