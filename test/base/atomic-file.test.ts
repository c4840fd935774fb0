import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readWholeFile, writeFileAtomically } from "../../base/atomic-file.ts";
import { seededRandom } from "../../base/random.ts";
import { MemoryDisk } from "../support/memory-disk.ts";

const PATH = "/data/file.json";
const content = (n: number) => Buffer.from(`content ${n} `.repeat(1 + ((n * 37) % 200)));

async function newDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeFolder("/data");
  return disk;
}

suite("writeFileAtomically()", () => {
  test("replaces a longer file by a shorter one", async () => {
    const disk = await newDisk();
    await writeFileAtomically(disk, PATH, Buffer.from("a long content"));
    await writeFileAtomically(disk, PATH, Buffer.from("short"));
    assert.equal((await readWholeFile(disk, PATH)).toString(), "short");
  });

  test("leaves the old content or the new over a power cut at any moment, and the new once it resolved", async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = seededRandom(seed);
      const disk = await newDisk();
      await writeFileAtomically(disk, PATH, content(0));
      let sure = 0;
      for (let n = 1; n <= 6; n += 1) {
        disk.powerOffAfter(Math.floor(random.next() * 8));
        let resolved = true;
        await writeFileAtomically(disk.forProcess(), PATH, content(n)).catch(() => {
          resolved = false;
        });
        disk.crash({ random });
        const found = await readWholeFile(disk, PATH);
        const possible = resolved ? [n] : [sure, n];
        const is = possible.find((each) => content(each).equals(found));
        assert.ok(is !== undefined, `seed ${seed}: ${found.length} bytes, expected content ${possible}`);
        sure = is;
      }
    }
  });

  for (const operation of ["open", "truncate", "write", "sync", "rename"] as const) {
    test(`rejects and leaves the old content alone when ${operation} fails, and works the next time`, async () => {
      const disk = await newDisk();
      await writeFileAtomically(disk, PATH, Buffer.from("old"));
      disk.failNth(operation, 1, "EIO");
      await assert.rejects(writeFileAtomically(disk, PATH, Buffer.from("new")), { code: "EIO" });
      assert.equal((await readWholeFile(disk, PATH)).toString(), "old");
      assert.deepEqual(await disk.list("/data"), ["file.json"]);
      await writeFileAtomically(disk, PATH, Buffer.from("newer"));
      assert.equal((await readWholeFile(disk, PATH)).toString(), "newer");
    });
  }
});

suite("readWholeFile()", () => {
  test("throws ENOENT when there is no file", async () => {
    await assert.rejects(readWholeFile(await newDisk(), PATH), { code: "ENOENT" });
  });
});
