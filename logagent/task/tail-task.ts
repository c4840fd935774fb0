import { errorMessage } from "../../base/errors.ts";
import type { Entry } from "../../conf/collect-config.ts";
import { FolderHints } from "../source/folder-hints.ts";
import { SourceContext } from "../source/source-context.ts";
import { TailSource } from "../source/tail-source.ts";
import { tailStatus } from "./tail-status.ts";
import type { TailDeps, TailTask, TaskStatus } from "./types.ts";

/** Held files are looked at so often, and sooner when a folder hints that something happened. */
const TICK_MS = 250;
/** Hints shorten a tick to no less than this, so that a busy folder costs no more than so many polls. */
const TICK_MIN_MS = 20;
/** Why a pause ends before its time. Made once: there are many pauses, and an error costs its stack trace. */
const NAP_OVER = new Error("the pause is over");

/** Starts shipping an entry. Trouble with files is shown in the status and tried again; it never throws for that. */
export function startTailTask(entry: Entry, deps: TailDeps): TailTask {
  return new RunningTailTask(entry, deps);
}

class RunningTailTask implements TailTask {
  readonly entry: Entry;
  readonly #context: SourceContext;
  readonly #source: TailSource;
  readonly #hints: FolderHints;
  #nap = new AbortController();
  #isStopping = false;
  readonly #loop: Promise<void>;
  #isStarting = true;
  #stopped: Promise<void> | undefined;

  constructor(entry: Entry, deps: TailDeps) {
    this.entry = entry;
    deps.claims.add(entry.path);
    this.#context = new SourceContext(entry, deps);
    this.#source = new TailSource(this.#context);
    this.#hints = new FolderHints(this.#context.logger);
    this.#loop = this.#run();
  }

  get status(): TaskStatus {
    const state = this.#stopped !== undefined ? "stopped" : this.#isStarting ? "starting" : "running";
    return tailStatus(state, this.#context, this.#source);
  }

  stop(options: { readonly drain: boolean; readonly signal: AbortSignal }): Promise<void> {
    this.#stopped ??= this.#stop(options);
    return this.#stopped;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        // Watched before it is looked at, so that nothing falls between.
        this.#watch();
        await this.#source.poll();
        this.#watch();
        this.#context.problems.clear("task");
      } catch (error) {
        this.#context.problems.set("task", `Cannot look for files: ${errorMessage(error)}`);
      }
      this.#isStarting = false;
      if (this.#isStopping) return;
      await this.#pause();
    }
  }

  #watch(): void {
    this.#hints.watch(this.#source.folders, (path, isName) => this.#source.hint(path, isName));
  }

  async #pause(): Promise<void> {
    const { clock } = this.#context.deps;
    this.#nap = new AbortController();
    const { signal } = this.#nap;
    try {
      await clock.sleep(TICK_MIN_MS, { signal });
      await this.#hints.wait(clock.sleep(TICK_MS - TICK_MIN_MS, { signal }));
    } catch (error) {
      if (error !== NAP_OVER) throw error;
    } finally {
      this.#nap.abort(NAP_OVER);
    }
  }

  async #stop(options: { readonly drain: boolean; readonly signal: AbortSignal }): Promise<void> {
    this.#isStopping = true;
    this.#nap.abort(NAP_OVER);
    const { logger, deps } = this.#context;
    await this.#source.stop();
    await this.#loop;
    try {
      if (options.drain) await this.#source.settled(options.signal);
    } catch (error) {
      if (!options.signal.aborted) throw error;
      logger.warn("task stopped before everything was acknowledged; the rest is sent again later");
    }
    this.#source.close();
    this.#hints.close();
    await deps.checkpoints.persisted();
  }
}
