import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { errorCode } from "../../../base/errors.ts";
import { LmdbBackend } from "../../../store/backend/lmdb-backend.ts";
import { backendContract, bytes, text } from "./contract.ts";

backendContract("LmdbBackend", async () => {
  const folder = await mkdtemp(join(tmpdir(), "backend-"));
  return {
    open: () => LmdbBackend.open(join(folder, "db")),
    copyPath: (name) => join(folder, name),
    copyNames: async () => (await readdir(folder)).filter((name) => !/^db(?:-lock)?$/.test(name)),
    remove: () => rm(folder, { recursive: true }),
  };
});

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "backend-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

it("LmdbBackend.open() refuses a file that is not LMDB's and names it", () =>
  inFolder(async (folder) => {
    const path = join(folder, "db");
    await writeFile(path, Buffer.alloc(20_000, 7));
    await assert.rejects(LmdbBackend.open(path), (error: Error) => {
      assert.equal(errorCode(error), "EFORMAT");
      assert.equal(
        error.message,
        `Cannot open backend ${path}: magic number 0x7070707, expected an LMDB file of data version 2`,
      );
      return true;
    });
  }));

it("LmdbBackend.open() refuses a file that is cut short", () =>
  inFolder(async (folder) => {
    const path = join(folder, "db");
    await writeFile(path, "etcd");
    await assert.rejects(LmdbBackend.open(path), /it has 4 bytes, expected an LMDB file/);
  }));

it("LmdbBackend.open() refuses a folder that is not there", () =>
  inFolder(async (folder) => {
    const path = join(folder, "absent", "db");
    await assert.rejects(LmdbBackend.open(path), (error: Error) => {
      assert.equal(errorCode(error), "ENOENT");
      assert.equal(
        error.message,
        `Cannot open backend ${path}: folder ${join(folder, "absent")} is not writable (ENOENT)`,
      );
      return true;
    });
  }));

it("LmdbBackend keeps its writes readable while a large commit is under way", () =>
  inFolder(async (folder) => {
    const backend = await LmdbBackend.open(join(folder, "db"));
    for (let i = 0; i < 5000; i++) backend.put("key", bytes(`k${i}`), bytes(`v${i}`));
    const commit = backend.commit();
    let done = false;
    void commit.then(() => {
      done = true;
    });
    for (let i = 5000; i < 5100; i++) backend.put("key", bytes(`k${i}`), bytes(`v${i}`));
    let checks = 0;
    while (!done) {
      for (let i = 0; i < 5100; i += 50) assert.equal(text(backend.get("key", bytes(`k${i}`))), `v${i}`);
      checks += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(checks > 0);
    for (let i = 0; i < 5100; i += 50) assert.equal(text(backend.get("key", bytes(`k${i}`))), `v${i}`);
    await backend.close();
  }));

it("LmdbBackend.copy() is of one commit while others go on, and lets them", () =>
  inFolder(async (folder) => {
    const backend = await LmdbBackend.open(join(folder, "db"));
    for (let i = 0; i < 20_000; i++) backend.put("key", bytes(`k${i}`), Buffer.alloc(400));
    await backend.commit();
    let generation = 0;
    const writeGeneration = () => {
      generation += 1;
      for (let i = 0; i < 50; i++) backend.put("meta", bytes(`g${i}`), bytes(`${generation}`));
      // Deletions and growth, so that pages are freed and the map is made anew under the copy.
      for (let i = 0; i < 20; i++) backend.delete("key", bytes(`k${generation * 20 + i}`));
      backend.put("key", bytes(`big${generation}`), Buffer.alloc(200_000));
      return backend.commit();
    };
    for (let round = 0; round < 5; round++) {
      await writeGeneration();
      let done = false;
      let commits = 0;
      const path = join(folder, `copy${round}`);
      const copying = backend.copy(path).finally(() => {
        done = true;
      });
      while (!done) {
        await writeGeneration();
        commits += 1;
      }
      await copying;
      assert.ok(commits > 0, "commits while it was copied");
      const copy = await backend.openCopy(path);
      const found = new Set(
        [...copy.range("meta", bytes("g"), bytes("h"), 0)].map(({ value }) => text(value)),
      );
      assert.equal(found.size, 1, `generations in one copy: ${[...found]}`);
      await copy.close();
    }
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith("-lock")),
      ["db-lock"],
    );
    await backend.close();
  }));
