import { errorMessage } from "../../base/errors.ts";
import type { Entry } from "../../conf/collect-config.ts";
import type { Hint, HintTarget } from "../source/folder-hints.ts";
import { SourceContext } from "../source/source-context.ts";
import { TailSource } from "../source/tail-source.ts";
import { Pulse, type PulseMember } from "./pulse.ts";
import { tailStatus } from "./tail-status.ts";
import type { TailDeps, TailTask, TaskStatus } from "./types.ts";

/** Starts shipping an entry. Trouble with files is shown in the status and tried again; it never throws for that. */
export function startTailTask(
  entry: Entry,
  deps: TailDeps,
  /** One for all tasks of an agent. */
  pulse: Pulse = new Pulse(deps),
): TailTask {
  return new RunningTailTask(entry, deps, pulse);
}

class RunningTailTask implements TailTask, PulseMember, HintTarget {
  readonly entry: Entry;
  readonly #context: SourceContext;
  readonly #source: TailSource;
  readonly #pulse: Pulse;
  #lastBeat: Promise<number> | undefined;
  #isStarting = true;
  #stopped: Promise<void> | undefined;

  constructor(entry: Entry, deps: TailDeps, pulse: Pulse) {
    this.entry = entry;
    deps.claims.add(entry.path);
    this.#context = new SourceContext(entry, deps);
    this.#source = new TailSource(this.#context);
    this.#pulse = pulse;
    pulse.join(this);
  }

  get status(): TaskStatus {
    const state = this.#stopped !== undefined ? "stopped" : this.#isStarting ? "starting" : "running";
    return tailStatus(state, this.#context, this.#source);
  }

  stop(options: { readonly drain: boolean; readonly signal: AbortSignal }): Promise<void> {
    this.#stopped ??= this.#stop(options);
    return this.#stopped;
  }

  beat(): Promise<number> {
    this.#lastBeat = this.#poll();
    return this.#lastBeat;
  }

  hint(hint: Hint): void {
    if (this.#source.hint(hint)) this.#pulse.hurry(this);
  }

  async #poll(): Promise<number> {
    try {
      await this.#source.poll();
      this.#context.problems.clear("task");
    } catch (error) {
      this.#context.problems.set("task", `Cannot look for files: ${errorMessage(error)}`);
    }
    this.#isStarting = false;
    if (this.#stopped === undefined) this.#pulse.hints.watch(this, this.#source.folders);
    return this.#source.dueMs;
  }

  async #stop(options: { readonly drain: boolean; readonly signal: AbortSignal }): Promise<void> {
    this.#pulse.leave(this);
    this.#pulse.hints.forget(this);
    const { logger, deps } = this.#context;
    await this.#source.stop();
    await this.#lastBeat;
    try {
      if (options.drain) await this.#source.settled(options);
    } catch (error) {
      if (!options.signal.aborted) throw error;
      logger.warn("task stopped before everything was acknowledged; the rest is sent again later");
    }
    this.#source.close();
    await deps.checkpoints.persisted();
  }
}
