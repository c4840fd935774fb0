import assert from "node:assert/strict";
import { it } from "node:test";
import { MemBackend, MemFile } from "../../../store/backend/mem-backend.ts";
import { backendContract, bytes, text } from "./contract.ts";

backendContract("MemBackend", async () => {
  const file = new MemFile();
  return {
    open: async () => new MemBackend({ file }),
    openCopy: async (name) => new MemBackend({ file: file.copies.get(name) ?? new MemFile() }),
    copyPath: (name) => name,
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
