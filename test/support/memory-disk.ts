import { basename, dirname } from "node:path";
import type { Disk, DiskFile } from "../../base/disk.ts";
import { CodedError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import type { Random } from "../../base/random.ts";
import { MemoryFile } from "./memory-file.ts";
import { MemoryFolder } from "./memory-folder.ts";

export type DiskOperation =
  | "open"
  | "read"
  | "write"
  | "truncate"
  | "sync"
  | "rename"
  | "remove"
  | "syncFolder";

/**
 * A disk in memory that knows what is synced. `crash()` is a power cut: of each change since the last sync, a write may
 * be kept, dropped, or torn at a sector of 512 bytes, and a change to a folder kept or dropped; folders themselves stay.
 * Files that were open are dead after it. Operations can be made to fail, or the power to go at the n-th one.
 */
export class MemoryDisk implements Disk {
  readonly #folders = new Map<string, MemoryFolder>();
  #generation = 0;
  #operationsLeft = Number.POSITIVE_INFINITY;
  readonly #faults: { readonly operation: DiskOperation; nth: number; readonly code: string }[] = [];
  /** Operations so far, by kind. */
  readonly counts = new Map<DiskOperation, number>();
  /** Awaited by each operation: a turn of the event loop, as a thread pool takes; a simulation puts its own time here. */
  turn: (operation: DiskOperation) => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));

  /** The n-th operation of this kind from now (1: the next) fails with `code`, once. */
  failNth(operation: DiskOperation, nth: number, code: string): void {
    this.#faults.push({ operation, nth, code });
  }

  /** After `operations` more operations the power goes: every later one rejects, until `crash()`. */
  powerOffAfter(operations: number): void {
    this.#operationsLeft = operations;
  }

  get isPowerOff(): boolean {
    return this.#operationsLeft <= 0;
  }

  /** The disk as one process sees it: dead for that process after the next `crash()`. */
  forProcess(): Disk {
    const generation = this.#generation;
    const alive = <Result>(operation: () => Promise<Result>): Promise<Result> => {
      if (generation === this.#generation) return operation();
      return Promise.reject(nodeError("EIO", "the power was cut under this process"));
    };
    return {
      open: (path, options) => alive(() => this.open(path, options)),
      list: (folder) => alive(() => this.list(folder)),
      makeFolder: (folder) => alive(() => this.makeFolder(folder)),
      rename: (from, to) => alive(() => this.rename(from, to)),
      remove: (path) => alive(() => this.remove(path)),
      syncFolder: (folder) => alive(() => this.syncFolder(folder)),
    };
  }

  /** A power cut, decided by `random`, and power again. */
  crash(options: { readonly random: Random }): void {
    this.#generation += 1;
    this.#operationsLeft = Number.POSITIVE_INFINITY;
    for (const folder of this.#folders.values()) folder.crash(options.random);
    for (const folder of this.#folders.values()) {
      for (const file of folder.entries.values()) file.crash(options.random);
    }
  }

  /** A file's bytes as a running process sees them, for a test to look at and to damage. */
  bytes(path: string): Buffer {
    return this.#file(path).live;
  }

  /** Replaces a file's bytes, durably. */
  overwrite(path: string, bytes: Buffer): void {
    this.#file(path).reset(bytes);
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    await this.#begin("open");
    const folder = this.#folder(dirname(path), path);
    const name = basename(path);
    let file = folder.entries.get(name);
    if (file === undefined) {
      if (!options.create) throw nodeError("ENOENT", `no such file or directory, open '${path}'`);
      file = new MemoryFile();
      folder.change({ kind: "link", name, file });
    }
    return this.#handle(file);
  }

  async list(path: string): Promise<readonly string[]> {
    return [...this.#folder(path, path).entries.keys()].sort();
  }

  async makeFolder(path: string): Promise<void> {
    for (let folder = path; !this.#folders.has(folder); folder = dirname(folder)) {
      this.#folders.set(folder, new MemoryFolder());
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#begin("rename");
    invariant(dirname(from) === dirname(to), "a rename stays in its folder");
    const file = this.#file(from);
    this.#folder(dirname(from), from).change({
      kind: "rename",
      from: basename(from),
      to: basename(to),
      file,
    });
  }

  async remove(path: string): Promise<void> {
    await this.#begin("remove");
    this.#file(path);
    this.#folder(dirname(path), path).change({ kind: "unlink", name: basename(path) });
  }

  async syncFolder(path: string): Promise<void> {
    await this.#begin("syncFolder");
    this.#folder(path, path).sync();
  }

  #handle(file: MemoryFile): DiskFile {
    const generation = this.#generation;
    let closed = false;
    const begin = async (operation: DiskOperation) => {
      this.#requireAlive(generation);
      invariant(!closed, `${operation} on an open file`);
      await this.#begin(operation);
    };
    return {
      size: async () => file.live.length,
      read: async (target, position) => {
        await begin("read");
        return position < file.live.length ? file.live.copy(target, 0, position) : 0;
      },
      write: async (buffers, position) => {
        this.#requireAlive(generation);
        // The power may go while it is under way: it is there, unsynced, from the moment of the call.
        if (!this.isPowerOff && !this.#isFaulty("write")) {
          file.change({ kind: "write", position, bytes: Buffer.concat(buffers) });
        }
        await begin("write");
      },
      truncate: async (length) => {
        await begin("truncate");
        file.change({ kind: "truncate", length });
      },
      sync: async () => {
        const covered = file.unsynced;
        await begin("sync");
        file.sync(covered);
      },
      close: async () => {
        closed = true;
      },
    };
  }

  #requireAlive(generation: number): void {
    if (generation !== this.#generation)
      throw nodeError("EBADF", "bad file descriptor: the power was cut since");
  }

  /** Takes its time, and lets the n-th operation fail. */
  async #begin(operation: DiskOperation): Promise<void> {
    const generation = this.#generation;
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1);
    this.#operationsLeft -= 1;
    const isOff = this.#operationsLeft < 0;
    const fault = this.#takeFault(operation);
    await this.turn(operation);
    this.#requireAlive(generation);
    if (isOff) throw nodeError("EIO", `the power is off, ${operation}`);
    if (fault !== undefined) throw nodeError(fault, `injected, ${operation}`);
  }

  #isFaulty(operation: DiskOperation): boolean {
    return this.#faults.some((fault) => fault.operation === operation && fault.nth === 1);
  }

  #takeFault(operation: DiskOperation): string | undefined {
    let code: string | undefined;
    for (const fault of this.#faults.filter((each) => each.operation === operation)) {
      fault.nth -= 1;
      if (fault.nth > 0) continue;
      code = fault.code;
      this.#faults.splice(this.#faults.indexOf(fault), 1);
    }
    return code;
  }

  #folder(path: string, asked: string): MemoryFolder {
    const folder = this.#folders.get(path);
    if (folder === undefined) throw nodeError("ENOENT", `no such file or directory, '${asked}'`);
    return folder;
  }

  #file(path: string): MemoryFile {
    const file = this.#folders.get(dirname(path))?.entries.get(basename(path));
    if (file === undefined) throw nodeError("ENOENT", `no such file or directory, '${path}'`);
    return file;
  }
}

function nodeError(code: string, message: string): CodedError {
  return new CodedError(code, `${code}: ${message}`);
}
