import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Entry } from "../../conf/collect-config.ts";
import { diffEntries, isSameEntry } from "./diff.ts";
import type { TailTask } from "./types.ts";

export interface SupervisorDeps {
  /** Starts at once; the task never fails for good. */
  readonly startTask: (entry: Entry) => TailTask;
  /** Called with the whole list before anything of it starts or stops. */
  readonly setOrder: (entries: readonly Entry[]) => void;
  /** Called before all tasks are stopped for good. */
  readonly onClose: () => void;
  /** Called when all tasks have stopped for good. */
  readonly onClosed: () => void;
  /** How long a task that is replaced or removed may wait for acknowledgements; the rest is sent again. */
  readonly drainMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What happens at one path. */
interface Slot {
  /** Undefined: the path is on its way out. */
  desired: Entry | undefined;
  /** Runs, or is stopping. */
  task: TailTask | undefined;
  stopping: Promise<void> | undefined;
}

/**
 * Makes the running tasks those of the newest config. Each path moves on its own: one that drains for long holds up no
 * other, and of several configs that arrive meanwhile the last one counts. Tasks of unchanged entries are not touched.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #slots = new Map<string, Slot>();
  /** Cuts every drain short. */
  readonly #hurry = new AbortController();
  #isClosed = false;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  /** Tasks that run or are stopping, in the order they started. */
  get tasks(): readonly TailTask[] {
    return [...this.#slots.values()].flatMap((slot) => (slot.task === undefined ? [] : [slot.task]));
  }

  /** Starts what is new before it returns, and begins to stop what is gone. Does nothing once closed. */
  apply(entries: readonly Entry[]): void {
    if (this.#isClosed) return;
    const desired = [...this.#slots.values()].flatMap((slot) => slot.desired ?? []);
    const diff = diffEntries(desired, entries);
    this.#deps.setOrder(entries);
    for (const entry of diff.stop) this.#want(entry.path, undefined);
    for (const { to } of diff.replace) this.#want(to.path, to);
    for (const entry of diff.start) this.#want(entry.path, entry);
    const counts = { start: diff.start.length, replace: diff.replace.length, stop: diff.stop.length };
    this.#deps.log.info({ ...counts, entries: entries.length }, "tasks changed");
  }

  /** Resolves when no task is on its way out. */
  async settled(): Promise<void> {
    const stopping = [...this.#slots.values()].flatMap((slot) => slot.stopping ?? []);
    if (stopping.length === 0) return;
    await Promise.all(stopping);
    await this.settled();
  }

  /** Stops every task, draining until the signal is aborted, and resolves when all have stopped. Idempotent. */
  async close(options: { readonly signal: AbortSignal }): Promise<void> {
    this.#isClosed = true;
    this.#deps.onClose();
    const hurry = () => this.#hurry.abort(options.signal.reason);
    if (options.signal.aborted) hurry();
    options.signal.addEventListener("abort", hurry, { once: true });
    for (const path of [...this.#slots.keys()]) this.#want(path, undefined);
    await this.settled();
    options.signal.removeEventListener("abort", hurry);
    this.#deps.onClosed();
  }

  #want(path: string, desired: Entry | undefined): void {
    const slot = this.#slots.get(path) ?? { desired, task: undefined, stopping: undefined };
    this.#slots.set(path, slot);
    slot.desired = desired;
    this.#advance(path, slot);
  }

  #advance(path: string, slot: Slot): void {
    if (slot.stopping !== undefined) return;
    const { task, desired } = slot;
    if (task === undefined) {
      if (desired === undefined) this.#slots.delete(path);
      else slot.task = this.#deps.startTask(desired);
      return;
    }
    if (desired !== undefined && isSameEntry(task.entry, desired)) return;
    slot.stopping = this.#stop(task).finally(() => {
      slot.stopping = undefined;
      slot.task = undefined;
      this.#advance(path, slot);
    });
  }

  async #stop(task: TailTask): Promise<void> {
    const { clock, drainMs, log } = this.#deps;
    const limit = new AbortController();
    const stopped = new AbortController();
    const signal = AbortSignal.any([limit.signal, this.#hurry.signal]);
    // Closing has a limit of its own, for all tasks together.
    const timer = this.#isClosed
      ? undefined
      : clock.sleep(drainMs, { signal: stopped.signal }).then(
          () => {
            log.warn({ path: task.entry.path, drainMs }, "task not drained in time, the rest is sent again");
            limit.abort(new Error(`task not drained within ${drainMs} ms`));
          },
          () => undefined,
        );
    try {
      await task.stop({ drain: true, signal });
    } catch (error) {
      log.error({ path: task.entry.path, reason: errorMessage(error) }, "task stopped with an error");
    } finally {
      stopped.abort();
      await timer;
    }
  }
}
