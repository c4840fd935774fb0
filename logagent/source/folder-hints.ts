import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

/** Folders watched for one task; in the others news takes a tick longer. */
export const WATCHED_FOLDERS_MAX = 64;

/** Something happened to `path`; `isName` when a name came or went. */
export type OnHint = (path: string, isName: boolean) => void;

/**
 * Shortens a wait when the kernel says that something happened in a folder. Only a hint: nothing depends on it. A watch ends
 * with its first event and is set again for a later wait, so that a busy file costs one event a wait and not one a write.
 */
export class FolderHints {
  readonly #logger: Logger;
  readonly #watchers = new Map<string, FSWatcher>();
  #hinted = Promise.withResolvers<void>();
  #onHint: OnHint | undefined;
  #isWarned = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Sets the watches that are missing. What happens from now on ends the next `wait`, or the one after it at once. */
  watch(folders: readonly string[], onHint: OnHint): void {
    this.#onHint = onHint;
    const wanted = new Set(folders.slice(0, WATCHED_FOLDERS_MAX));
    for (const folder of this.#watchers.keys()) if (!wanted.has(folder)) this.#drop(folder);
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#add(folder);
  }

  /** Waits for `wait` to settle, whichever way, or for a hint; not at all when there was one since the last wait. */
  async wait(wait: Promise<void>): Promise<void> {
    const waited = wait.then(
      () => undefined,
      // Aborted: whoever waits asks the signal.
      () => undefined,
    );
    await Promise.race([waited, this.#hinted.promise]);
    this.#hinted = Promise.withResolvers();
  }

  /** Idempotent. */
  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false });
      watcher.on("change", (event, name) => this.#hint(folder, event, String(name)));
      watcher.on("error", () => this.#drop(folder));
      this.#watchers.set(folder, watcher);
    } catch (error) {
      // Not there yet, not allowed, or no inotify watches left: the tick does the work.
      if (this.#isWarned) return;
      this.#isWarned = true;
      this.#logger.debug({ folder, reason: errorMessage(error) }, "folder cannot be watched; it is polled");
    }
  }

  #hint(folder: string, event: string, name: string): void {
    this.#drop(folder);
    this.#onHint?.(join(folder, name), event === "rename");
    this.#hinted.resolve();
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }
}
