import assert from "node:assert/strict";
import { it } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import { MemBackend, MemFile } from "../../../store/backend/mem-backend.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { backendContract, bytes, text } from "./contract.ts";

backendContract("MemBackend", async () => {
  const file = new MemFile();
  const disk = new MemoryDisk();
  await disk.makeFolder("/copies");
  return {
    open: async () => new MemBackend({ file, disk }),
    copyPath: (name) => `/copies/${name}`,
    copyNames: () => disk.list("/copies"),
    remove: async () => undefined,
  };
});

it("MemBackend.crash() loses what was not committed", async () => {
  const file = new MemFile();
  const backend = new MemBackend({ file });
  backend.put("key", bytes("a"), bytes("1"));
  await backend.commit();
  backend.put("key", bytes("a"), bytes("2"));
  backend.delete("key", bytes("b"));
  backend.crash();
  assert.equal(text(new MemBackend({ file }).get("key", bytes("a"))), "1");
  assert.throws(() => backend.get("key", bytes("a")), /not crashed/);
});

it("MemBackend.crash() loses a commit under way as a whole", async () => {
  const file = new MemFile();
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const backend = new MemBackend({ file, beforeCommit: () => gate });
  backend.put("key", bytes("a"), bytes("1"));
  backend.put("meta", bytes("b"), bytes("2"));
  let settled = false;
  void backend.commit().then(() => {
    settled = true;
  });
  backend.crash();
  release();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(settled, false);
  const reopened = new MemBackend({ file });
  assert.equal(reopened.get("key", bytes("a")), undefined);
  assert.equal(reopened.get("meta", bytes("b")), undefined);
});

it("MemBackend.install() has happened or not, whatever the operation at which the power goes", async () => {
  let before = 0;
  let after = 0;
  for (let operations = 0; operations < 8; operations += 1) {
    for (let seed = 1; seed <= 6; seed += 1) {
      const file = new MemFile();
      const disk = new MemoryDisk();
      await disk.makeFolder("/copies");
      const backend = new MemBackend({ file, disk: disk.forProcess() });
      backend.put("key", bytes("a"), bytes("copied"));
      await backend.commit();
      await backend.copy("/copies/db");
      const copy = await disk.open("/copies/db", { create: false });
      await copy.sync();
      await disk.syncFolder("/copies");
      backend.put("key", bytes("a"), bytes("own"));
      await backend.commit();
      disk.powerOffAfter(operations);
      await backend.install("/copies/db").catch(() => undefined);
      backend.crash();
      disk.crash({ random: seededRandom(seed) });
      const found = text(new MemBackend({ file }).get("key", bytes("a")));
      if (found === "own") {
        before += 1;
        assert.deepEqual(await disk.list("/copies"), ["db"], "the file is there to be installed again");
      } else {
        after += 1;
        assert.equal(found, "copied");
      }
    }
  }
  assert.ok(before > 0 && after > 0, `${before} before, ${after} after`);
});
