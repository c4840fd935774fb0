import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { nodeDisk } from "../../base/node-disk.ts";
import { seededRandom } from "../../base/random.ts";
import { writeAll } from "../../base/write-all.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "node-disk-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

suite("nodeDisk", () => {
  test("writes many buffers one after another, reads them back, and says the length", () =>
    inFolder(async (folder) => {
      const file = await nodeDisk.open(join(folder, "file"), { create: true });
      // More than one writev(2) takes (IOV_MAX is 1024).
      const buffers = Array.from({ length: 3000 }, (_, i) => Buffer.from(`${i};`));
      await file.write([Buffer.alloc(0), ...buffers], 5);
      await file.sync();
      const expected = Buffer.concat([Buffer.alloc(5), ...buffers]);
      assert.equal(await file.size(), expected.length);
      const target = Buffer.alloc(expected.length + 10, 0xff);
      assert.equal(await file.read(target, 0), expected.length);
      assert.ok(target.subarray(0, expected.length).equals(expected));
      assert.equal(await file.read(Buffer.alloc(4), expected.length), 0);
      await file.truncate(7);
      assert.equal(await file.size(), 7);
      await file.close();
      await file.close();
    }));

  test("keeps what it makes private to the user, and lists names sorted", () =>
    inFolder(async (folder) => {
      const made = join(folder, "a", "b");
      await nodeDisk.makeFolder(made);
      await nodeDisk.makeFolder(made);
      for (const name of ["2", "10", "1"]) {
        await (await nodeDisk.open(join(made, name), { create: true })).close();
      }
      assert.equal((await stat(made)).mode & 0o777, 0o700);
      assert.equal((await stat(join(made, "1"))).mode & 0o777, 0o600);
      await nodeDisk.rename(join(made, "2"), join(made, "3"));
      await nodeDisk.remove(join(made, "10"));
      await nodeDisk.syncFolder(made);
      assert.deepEqual(await nodeDisk.list(made), ["1", "3"]);
    }));

  test("isAtItsPath() is false for a file that was removed, renamed or replaced", () =>
    inFolder(async (folder) => {
      const path = join(folder, "file");
      const file = await nodeDisk.open(path, { create: true });
      assert.equal(await file.isAtItsPath(), true);
      await nodeDisk.rename(path, join(folder, "moved"));
      assert.equal(await file.isAtItsPath(), false);
      await (await nodeDisk.open(path, { create: true })).close();
      assert.equal(await file.isAtItsPath(), false);
      await nodeDisk.rename(join(folder, "moved"), path);
      assert.equal(await file.isAtItsPath(), true);
      await nodeDisk.remove(path);
      assert.equal(await file.isAtItsPath(), false);
      await rm(folder, { recursive: true });
      assert.equal(await file.isAtItsPath(), false);
      await file.close();
      await mkdir(folder);
    }));

  test("throws ENOENT as Node does", () =>
    inFolder(async (folder) => {
      const none = join(folder, "none");
      await assert.rejects(nodeDisk.open(none, { create: false }), { code: "ENOENT" });
      await assert.rejects(nodeDisk.list(none), { code: "ENOENT" });
      await assert.rejects(nodeDisk.remove(none), { code: "ENOENT" });
    }));
});

suite("writeAll()", () => {
  test("goes on where a partial writev ended, inside a buffer or between two", async () => {
    const random = seededRandom(8);
    for (let round = 0; round < 300; round += 1) {
      const buffers = Array.from({ length: Math.floor(random.next() * 8) }, (_, i) =>
        Buffer.alloc(Math.floor(random.next() * 6), 97 + i),
      );
      const disk = Buffer.alloc(64);
      const handle = {
        writev: async (given: readonly Uint8Array[], position: number) => {
          const all = Buffer.concat(given);
          const bytesWritten = 1 + Math.floor(random.next() * all.length);
          all.copy(disk, position, 0, bytesWritten);
          return { bytesWritten, buffers: given };
        },
      };
      await writeAll(handle as unknown as Parameters<typeof writeAll>[0], buffers, 3);
      const expected = Buffer.alloc(64);
      Buffer.concat(buffers).copy(expected, 3);
      assert.ok(disk.equals(expected), `round ${round}: ${disk}`);
    }
  });
});
