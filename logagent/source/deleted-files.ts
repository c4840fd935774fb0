import type { Logger } from "../../base/log.ts";

/** Disk that deleted files take up is worth a WARN from here on, and again whenever it has doubled. */
export const HELD_WARN_BYTES = 1024 ** 3;

/** A held file, as far as it matters here. */
export interface DiskHolder {
  /** What it takes of the disk though no name leads to it, because something of it is not acknowledged; else 0. */
  readonly heldDeletedBytes: number;
  /** Device and inode. */
  readonly key: string;
  readonly record: { readonly path: string };
}

/**
 * The deleted files that the tasks of an agent hold because the destination has not taken them: what they take of the disk, and,
 * where that is limited, which of them must go. One for all tasks.
 */
export class DeletedFiles {
  readonly #bytesMax: number;
  readonly #logger: Logger;
  /** With what each takes; the one that was deleted first comes first. */
  readonly #held = new Map<DiskHolder, number>();
  #heldBytes = 0;
  #warnFromBytes = HELD_WARN_BYTES;

  constructor(options: { readonly bytesMax?: number | undefined; readonly logger: Logger }) {
    this.#bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
    this.#logger = options.logger;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** After each look at a file, whether it is deleted or not. */
  note(file: DiskHolder): void {
    const bytes = file.heldDeletedBytes;
    const before = this.#held.get(file) ?? 0;
    if (bytes === before) return;
    this.#heldBytes += bytes - before;
    if (bytes > 0) this.#held.set(file, bytes);
    else this.#held.delete(file);
    this.#warn();
  }

  /** It is held no more. */
  forget(file: DiskHolder): void {
    this.#heldBytes -= this.#held.get(file) ?? 0;
    this.#held.delete(file);
    this.#warn();
  }

  /** The oldest, of all tasks, without which the others are within the limit. */
  mustGo(): readonly DiskHolder[] {
    const going: DiskHolder[] = [];
    let excessBytes = this.#heldBytes - this.#bytesMax;
    for (const [file, bytes] of this.#held) {
      if (excessBytes <= 0) break;
      // It may have been acknowledged since the last look.
      if (file.heldDeletedBytes > 0) going.push(file);
      excessBytes -= bytes;
    }
    return going;
  }

  #warn(): void {
    if (this.#heldBytes < HELD_WARN_BYTES / 2) this.#warnFromBytes = HELD_WARN_BYTES;
    if (this.#heldBytes < this.#warnFromBytes) return;
    while (this.#warnFromBytes <= this.#heldBytes) this.#warnFromBytes *= 2;
    const [oldest] = this.#held.keys();
    this.#logger.warn(
      { heldBytes: this.#heldBytes, files: this.#held.size, oldest: oldest?.record.path },
      "deleted files are held for a destination that has not taken them, and take up disk",
    );
  }
}
