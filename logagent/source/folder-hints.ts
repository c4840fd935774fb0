import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { KERNEL_TICK_MS } from "./kernel-tick.ts";

/** Folders watched for one task; in the others news takes a tick longer. */
export const WATCHED_FOLDERS_MAX = 64;

/** Something that happened in a folder. */
export type Hint =
  /** Something was written into the file that has this name. */
  | { readonly kind: "content"; readonly path: string }
  /** This name came or went. */
  | { readonly kind: "name"; readonly path: string }
  /** Names came or went, nobody knows which. */
  | { readonly kind: "names" };

/** Told of each hint in its folders, also of those that are not its business. */
export interface HintTarget {
  hint(hint: Hint): void;
}

interface Folder {
  readonly targets: Set<HintTarget>;
  watcher: FSWatcher | undefined;
  /** When a name last came or went, as the kernel says; undefined: not known well enough. */
  changedAtNs: bigint | undefined;
}

/**
 * What the kernel says happens in folders, for all tasks of an agent. Only hints: nothing depends on them. A watch ends with
 * its first event and is set again by `watchAgain`, so that a busy file costs one event a beat and not one a write. What
 * was missed meanwhile is made up for by the folder's modification time: names that came or went are never missed.
 */
export class FolderHints {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #folders = new Map<string, Folder>();
  readonly #wanted = new Map<HintTarget, readonly string[]>();
  /** Folders whose watch has ended with an event. */
  readonly #ended = new Set<string>();
  #isWarned = false;

  constructor(options: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Sets which folders `target` is told of, and tries again to watch those of them that could not be. */
  watch(target: HintTarget, folders: readonly string[]): void {
    const wanted = folders.length > WATCHED_FOLDERS_MAX ? folders.slice(0, WATCHED_FOLDERS_MAX) : folders;
    const before = this.#wanted.get(target) ?? [];
    this.#wanted.set(target, wanted);
    for (const path of before) if (!wanted.includes(path)) this.#leave(target, path);
    for (const path of wanted) {
      const folder = this.#folders.get(path) ?? {
        targets: new Set(),
        watcher: undefined,
        changedAtNs: undefined,
      };
      this.#folders.set(path, folder);
      folder.targets.add(target);
      if (folder.watcher === undefined && !this.#ended.has(path)) this.#open(path, folder);
    }
  }

  /** Tells `target` nothing any more. */
  forget(target: HintTarget): void {
    for (const path of this.#wanted.get(target) ?? []) this.#leave(target, path);
    this.#wanted.delete(target);
  }

  /** Sets the watches that have ended, and tells of names that came or went meanwhile. */
  watchAgain(): void {
    for (const path of this.#ended) {
      const folder = this.#folders.get(path);
      if (folder !== undefined) this.#open(path, folder);
    }
    this.#ended.clear();
  }

  #leave(target: HintTarget, path: string): void {
    const folder = this.#folders.get(path);
    if (folder === undefined) return;
    folder.targets.delete(target);
    if (folder.targets.size > 0) return;
    folder.watcher?.close();
    this.#folders.delete(path);
    this.#ended.delete(path);
  }

  #open(path: string, folder: Folder): void {
    try {
      const watcher = watch(path, { persistent: false });
      watcher.on("change", (event, name) => {
        this.#end(path, folder, watcher);
        const kind = event === "rename" ? "name" : "content";
        this.#tell(folder, { kind, path: join(path, String(name)) });
      });
      watcher.on("error", () => this.#end(path, folder, watcher));
      folder.watcher = watcher;
      this.#lookForNames(path, folder);
    } catch (error) {
      // Not there yet, not allowed, or no inotify watches left: the tick does the work.
      if (this.#isWarned) return;
      this.#isWarned = true;
      this.#logger.debug(
        { folder: path, reason: errorMessage(error) },
        "folder cannot be watched; it is polled",
      );
    }
  }

  #end(path: string, folder: Folder, watcher: FSWatcher): void {
    watcher.close();
    if (folder.watcher !== watcher) return;
    folder.watcher = undefined;
    this.#ended.add(path);
  }

  #lookForNames(path: string, folder: Folder): void {
    const { mtimeNs, mtimeMs } = statSync(path, { bigint: true });
    if (mtimeNs !== folder.changedAtNs) this.#tell(folder, { kind: "names" });
    const isSettled = this.#clock.wallMs() - Number(mtimeMs) >= KERNEL_TICK_MS;
    folder.changedAtNs = isSettled ? mtimeNs : undefined;
  }

  #tell(folder: Folder, hint: Hint): void {
    for (const target of folder.targets) target.hint(hint);
  }
}
