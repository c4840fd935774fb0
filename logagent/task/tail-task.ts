import type { Entry } from "../../conf/collect-config.ts";
import type { TailDeps, TailTask } from "./types.ts";

/** Starts shipping an entry. Never throws for trouble with files: that is in the status. */
export declare function startTailTask(entry: Entry, deps: TailDeps): TailTask;
