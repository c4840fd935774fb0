import fs, { type BigIntStats, type Stats } from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/** The file system as it is, for whoever is not the agent. */
export const real = { ...fs };

/** Sees the calls that the agent makes about files, as far as it wants to, and may change the world before each of them. */
export interface FsWatcher {
  /** Before a call. */
  beforeCall?(): void;
  /** May change the numbers that the kernel gave. `path` is what was asked for; undefined for an open file. */
  looked?(stats: BigIntStats | Stats, path: string | undefined): void;
  opened?(fd: number): void;
  /** Before it is closed. */
  closes?(fd: number): void;
  read?(fd: number, position: number, bytes: number): void;
  /** How many of these bytes are read at one time; throws what the kernel would say. */
  readable?(fd: number, position: number, bytes: number): number;
}

let watcher: FsWatcher | undefined;

/** From now on the calls of everybody but those who use `real` go by the watcher; undefined ends that. */
export function watchFs(next: FsWatcher | undefined): void {
  watcher = next;
}

function readSync(fd: number, bytes: Buffer, offset: number, length: number, position: number): number {
  watcher?.beforeCall?.();
  const readable = watcher?.readable?.(fd, position, length) ?? length;
  const got = real.readSync(fd, bytes, offset, readable, position);
  watcher?.read?.(fd, position, got);
  return got;
}

type ReadCallback = (error: Error | null, bytes: number, buffer: Buffer) => void;

Object.assign(fs, {
  statSync: (path: string, options?: object) => {
    watcher?.beforeCall?.();
    const stats = real.statSync(path, options) as BigIntStats | Stats | undefined;
    if (stats !== undefined) watcher?.looked?.(stats, path);
    return stats;
  },
  fstatSync: (fd: number, options?: object) => {
    watcher?.beforeCall?.();
    const stats = real.fstatSync(fd, options) as BigIntStats | Stats;
    watcher?.looked?.(stats, undefined);
    return stats;
  },
  openSync: (path: string, ...rest: [string]) => {
    watcher?.beforeCall?.();
    const fd = real.openSync(path, ...rest);
    watcher?.opened?.(fd);
    return fd;
  },
  closeSync: (fd: number) => {
    watcher?.closes?.(fd);
    real.closeSync(fd);
  },
  readdirSync: (path: string, ...rest: []) => {
    watcher?.beforeCall?.();
    return real.readdirSync(path, ...rest);
  },
  readSync,
  /** In the next turn, whatever the thread pool is busy with: a seed replays. */
  read: (
    fd: number,
    bytes: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: ReadCallback,
  ) => {
    try {
      const got = readSync(fd, bytes, offset, length, position);
      setImmediate(() => callback(null, got, bytes));
    } catch (error) {
      setImmediate(() => callback(error as Error, 0, bytes));
    }
  },
});
syncBuiltinESMExports();
