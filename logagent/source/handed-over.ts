import type { HeldFiles } from "./held-files.ts";
import type { SourceContext } from "./source-context.ts";

/** The task of before may wait long for a destination that is away: what came later at a path waits for it no longer than this. */
export const HANDOVER_WAIT_MS = 60_000;

/**
 * After a config has changed entries: the paths of which the task of before still holds a file that this entry goes on with. What is
 * at such a path came later, and is not shipped before that file was given back. Files that are given back wait for nobody, so this
 * comes to an end.
 */
export class HandedOver {
  readonly #context: SourceContext;
  readonly #held: Pick<HeldFiles, "lanes" | "holder">;
  /** By path, in monotonic milliseconds. */
  readonly #sinceMs = new Map<string, number>();
  /** The order of entries that was looked at. */
  #orders = 0;

  constructor(context: SourceContext, held: Pick<HeldFiles, "lanes" | "holder">) {
    this.#context = context;
    this.#held = held;
  }

  /** Before a search: what was given back is found by it. */
  update(nowMs: number): void {
    const { orders } = this.#context.deps.claims;
    if (orders === this.#orders && this.#sinceMs.size === 0) return;
    this.#orders = orders;
    const held = this.#heldByOthers();
    for (const path of this.#sinceMs.keys()) if (!held.has(path)) this.#sinceMs.delete(path);
    const waiting = new Set<string>();
    for (const path of held) {
      const sinceMs = this.#sinceMs.get(path) ?? nowMs;
      this.#sinceMs.set(path, sinceMs);
      if (nowMs - sinceMs < HANDOVER_WAIT_MS) waiting.add(path);
    }
    this.#held.lanes.hold(waiting);
  }

  #heldByOthers(): Set<string> {
    const { claims, checkpoints } = this.#context.deps;
    const held = new Set<string>();
    for (const record of checkpoints.recordsOf(this.#context.entry.path))
      if (claims.isContentHeldByOther(record, this.#held.holder)) held.add(record.path);
    return held;
  }
}
