import type { Present } from "./held-files.ts";
import type { FileStamp } from "./tailed-file.ts";

/** Files that were there before the entry was, and are not open yet: `from: end` is about these. */
export class StartAtEnd {
  /** By key, with the birth: the kernel gives a number to another file as soon as it is free. */
  readonly #births = new Map<string, bigint>();

  add(present: ReadonlyMap<string, Present>): void {
    for (const [key, { stats }] of present) this.#births.set(key, stats.birthtimeNs);
  }

  has(key: string, { birthtimeNs }: Pick<FileStamp, "birthtimeNs">): boolean {
    return this.#births.get(key) === birthtimeNs;
  }

  /** It was opened: from now on its record says where it starts. */
  delete(key: string): void {
    this.#births.delete(key);
  }

  /** These are all the files there are. */
  keepOnly(present: ReadonlyMap<string, Present>): void {
    for (const [key, birthtimeNs] of this.#births) {
      if (present.get(key)?.stats.birthtimeNs !== birthtimeNs) this.#births.delete(key);
    }
  }
}
