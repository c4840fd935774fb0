import type { Disk, DiskFile } from "../../base/disk.ts";
import { nodeDisk } from "../../base/node-disk.ts";

/** The machine's disk as one process sees it: when the process dies, nothing that it still wanted to do happens. */
export class MortalDisk implements Disk {
  #pending = 0;
  readonly #open = new Set<DiskFile>();
  #operationsLeft = Number.POSITIVE_INFINITY;

  /** Operations that have begun and not ended. */
  get pending(): number {
    return this.#pending;
  }

  get isDead(): boolean {
    return this.#operationsLeft <= 0;
  }

  /** Dies after so many more operations. */
  dieAfter(operations: number): void {
    this.#operationsLeft = operations;
  }

  open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    return this.#do(async () => this.#file(await nodeDisk.open(path, options)));
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#do(() => nodeDisk.list(folder));
  }

  makeFolder(folder: string): Promise<void> {
    return this.#do(() => nodeDisk.makeFolder(folder));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(() => nodeDisk.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#do(() => nodeDisk.remove(path));
  }

  syncFolder(folder: string): Promise<void> {
    return this.#do(() => nodeDisk.syncFolder(folder));
  }

  #file(file: DiskFile): DiskFile {
    this.#open.add(file);
    return {
      size: () => this.#do(() => file.size()),
      read: (target, position) => this.#do(() => file.read(target, position)),
      write: (buffers, position) => this.#do(() => file.write(buffers, position)),
      truncate: (length) => this.#do(() => file.truncate(length)),
      sync: () => this.#do(() => file.sync()),
      close: () => this.#close(file),
    };
  }

  async #do<T>(operation: () => Promise<T>): Promise<T> {
    this.#operationsLeft -= 1;
    if (this.#operationsLeft < 0) {
      // The kernel closes what a dead process held.
      await Promise.all([...this.#open].map((file) => this.#close(file)));
      return new Promise(() => undefined);
    }
    return this.#count(operation);
  }

  #close(file: DiskFile): Promise<void> {
    this.#open.delete(file);
    return this.#count(() => file.close());
  }

  async #count<T>(operation: () => Promise<T>): Promise<T> {
    this.#pending += 1;
    try {
      return await operation();
    } finally {
      this.#pending -= 1;
    }
  }
}
