import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import type { Disk, DiskFile } from "./disk.ts";

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

async function writeAll(handle: FileHandle, buffers: readonly Uint8Array[], position: number): Promise<void> {
  let rest = buffers.filter((buffer) => buffer.byteLength > 0);
  let at = position;
  while (rest.length > 0) {
    let { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    let whole = 0;
    while (whole < rest.length && bytesWritten >= (rest[whole]?.byteLength ?? 0)) {
      bytesWritten -= rest[whole]?.byteLength ?? 0;
      whole += 1;
    }
    rest = rest.slice(whole);
    const partial = rest[0];
    if (partial !== undefined && bytesWritten > 0) rest[0] = partial.subarray(bytesWritten);
  }
}
