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
  #wake: (() => void) | undefined;
  #onHint: OnHint | undefined;
  #isWarned = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Waits for `wait` to settle, whichever way, or for a hint in one of the folders, which `onHint` is told first. */
  async wait(wait: Promise<void>, folders: readonly string[], onHint: OnHint): Promise<void> {
    const hint = Promise.withResolvers<void>();
    this.#wake = hint.resolve;
    this.#onHint = onHint;
    this.#watch(folders.slice(0, WATCHED_FOLDERS_MAX));
    const waited = wait.then(
      () => undefined,
      // Aborted: whoever waits asks the signal.
      () => undefined,
    );
    await Promise.race([waited, hint.promise]);
    this.#wake = undefined;
  }

  /** Idempotent. */
  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watch(folders: readonly string[]): void {
    const wanted = new Set(folders);
    for (const folder of this.#watchers.keys()) if (!wanted.has(folder)) this.#drop(folder);
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#add(folder);
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
    this.#wake?.();
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }
}
