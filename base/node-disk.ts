import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import type { Disk, DiskFile } from "./disk.ts";
import { writeAll } from "./write-all.ts";

/** The machine's disk. */
export const nodeDisk: Disk = {
  open: async (path, { create }) => {
    const flags = constants.O_RDWR | (create ? constants.O_CREAT : 0);
    return nodeFile(await open(path, flags, 0o600));
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

function nodeFile(handle: FileHandle): DiskFile {
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
    close: async () => {
      if (closed) return;
      closed = true;
      await handle.close();
    },
  };
}
