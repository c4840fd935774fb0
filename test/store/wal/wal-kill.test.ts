import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Disk, DiskFile } from "../../../base/disk.ts";
import { entry, hardState, texts, WalBed } from "./wal-bed.ts";

/** The power goes, and takes with it whatever was not synced. */
const LOSES_ALL = { random: { next: () => 0.5, uint64: () => 0n } };

suite("Wal after a kill, and then a power cut", () => {
  test("open() syncs a frame that its writer was killed before it synced", async () => {
    const bed = new WalBed();
    const first = await bed.open();
    await first.wal.append({ hardState: hardState(1), entries: [entry(1, 1)] });
    await first.wal.close();
    const dying = { isDying: false };
    const killed = await bed.open({ disk: syncsUnlessDying(bed.disk, dying) });
    dying.isDying = true;
    void killed.wal.append({ hardState: hardState(1), entries: [entry(2, 1)] });
    await turns();

    // The writes of a dead process are in the system's memory: a second one reads them, and builds on them.
    const second = await bed.open();
    assert.deepEqual(texts(second.entries), ["1.1 e1.1", "2.1 e2.1"]);
    await second.wal.append({ hardState: hardState(1), entries: [entry(3, 1, Buffer.alloc(9000))] });
    await second.wal.append({ hardState: hardState(1), entries: [entry(4, 1)] });
    bed.disk.crash(LOSES_ALL);

    const third = await bed.open();
    assert.deepEqual(
      third.entries.map(({ index }) => index),
      [1, 2, 3, 4],
    );
    await third.wal.close();
  });
});

function syncsUnlessDying(disk: Disk, state: { readonly isDying: boolean }): Disk {
  return {
    open: async (path, options): Promise<DiskFile> => {
      const file = await disk.open(path, options);
      return {
        size: () => file.size(),
        read: (target, position) => file.read(target, position),
        write: (buffers, position) => file.write(buffers, position),
        truncate: (length) => file.truncate(length),
        sync: () => (state.isDying ? new Promise(() => undefined) : file.sync()),
        close: () => file.close(),
      };
    },
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (folder) => disk.syncFolder(folder),
  };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
