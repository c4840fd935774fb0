import type { Disk, DiskFile } from "../../base/disk.ts";

/** A disk as one process sees it: when the process dies, nothing that it still wanted to do happens. */
export class DyingDisk implements Disk {
  readonly #disk: Disk;
  #operationsLeft = Number.POSITIVE_INFINITY;
  /** So far. */
  operations = 0;
  /** It takes no more bytes; what is there can be renamed and removed. */
  isFull = false;

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
      write: (buffers, position) => this.#do(() => this.#write(file, buffers, position)),
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

  /** The last bytes that a full disk took are there. */
  async #write(file: DiskFile, buffers: readonly Uint8Array[], position: number): Promise<void> {
    if (!this.isFull) return file.write(buffers, position);
    const [first] = buffers;
    if (first !== undefined) await file.write([first.subarray(0, first.length / 2)], position);
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  }

  #do<T>(operation: () => Promise<T>): Promise<T> {
    this.#operationsLeft -= 1;
    this.operations += 1;
    return this.#operationsLeft < 0 ? new Promise(() => undefined) : operation();
  }
}
