import type { Disk, DiskFile } from "../../base/disk.ts";

/** A disk as one process sees it: when the process dies, nothing that it still wanted to do happens. */
export class DyingDisk implements Disk {
  readonly #disk: Disk;
  #operationsLeft = Number.POSITIVE_INFINITY;
  /** So far. */
  operations = 0;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  get isDead(): boolean {
    return this.#operationsLeft <= 0;
  }

  /** Dies after so many more operations. */
  dieAfter(operations: number): void {
    this.#operationsLeft = Math.min(operations, this.#operationsLeft);
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    const file = await this.#do(() => this.#disk.open(path, options));
    return {
      size: () => this.#do(() => file.size()),
      read: (target, position) => this.#do(() => file.read(target, position)),
      write: (buffers, position) => this.#do(() => file.write(buffers, position)),
      truncate: (length) => this.#do(() => file.truncate(length)),
      sync: () => this.#do(() => file.sync()),
      close: () => file.close(),
    };
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#do(() => this.#disk.list(folder));
  }

  makeFolder(folder: string): Promise<void> {
    return this.#do(() => this.#disk.makeFolder(folder));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(() => this.#disk.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#do(() => this.#disk.remove(path));
  }

  syncFolder(folder: string): Promise<void> {
    return this.#do(() => this.#disk.syncFolder(folder));
  }

  #do<T>(operation: () => Promise<T>): Promise<T> {
    this.#operationsLeft -= 1;
    this.operations += 1;
    return this.#operationsLeft < 0 ? new Promise(() => undefined) : operation();
  }
}
