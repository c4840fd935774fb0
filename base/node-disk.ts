import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import type { SharedDisk, SharedFile } from "./disk.ts";
import { errorCode } from "./errors.ts";
import { writeAll } from "./write-all.ts";

/** The machine's disk. */
export const nodeDisk: SharedDisk = {
  open: async (path, { create }) => {
    const flags = constants.O_RDWR | (create ? constants.O_CREAT : 0);
    return nodeFile(await open(path, flags, 0o600), path);
  },
  list: async (folder) => (await readdir(folder)).sort(),
  makeFolder: async (folder) => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  },
  rename,
  remove: (path) => rm(path),
  syncFolder: async (folder) => {
    await using handle = await open(folder, constants.O_RDONLY);
    await handle.sync();
  },
};

function nodeFile(handle: FileHandle, path: string): SharedFile {
  let closed = false;
  return {
    size: async () => (await handle.stat()).size,
    read: async (target, position) => {
      let done = 0;
      while (done < target.byteLength) {
        const { bytesRead } = await handle.read(target, done, target.byteLength - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    write: (buffers, position) => writeAll(handle, buffers, position),
    truncate: (length) => handle.truncate(length),
    sync: () => handle.datasync(),
    isAtItsPath: async () => {
      const { dev, ino } = await handle.stat({ bigint: true });
      try {
        const there = await stat(path, { bigint: true });
        return there.dev === dev && there.ino === ino;
      } catch (error) {
        if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return false;
        throw error;
      }
    },
    close: async () => {
      if (closed) return;
      closed = true;
      await handle.close();
    },
  };
}
