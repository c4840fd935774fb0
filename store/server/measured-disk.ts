import type { Clock } from "../../base/clock.ts";
import type { Disk, DiskFile } from "../../base/disk.ts";

/** A disk that tells how long each sync of a file took, in seconds. */
export function measuredDisk(
  disk: Disk,
  options: { readonly clock: Clock; readonly onSync: (seconds: number) => void },
): Disk {
  const { clock, onSync } = options;
  return {
    open: async (path, openOptions) => measuredFile(await disk.open(path, openOptions)),
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (folder) => disk.syncFolder(folder),
  };

  function measuredFile(file: DiskFile): DiskFile {
    return {
      size: () => file.size(),
      read: (target, position) => file.read(target, position),
      write: (buffers, position) => file.write(buffers, position),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
      sync: async () => {
        const startMs = clock.monotonicMs();
        await file.sync();
        onSync((clock.monotonicMs() - startMs) / 1_000);
      },
    };
  }
}
