import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isFolderLocked, lockFolder } from "../../base/folder-lock.ts";

const LOCK_MODULE = join(import.meta.dirname, "../../base/folder-lock.ts");
/** Locks the folder, says how that went, releases when told to, and stays. */
const CHILD = `
  const { lockFolder } = await import(process.argv[1]);
  try {
    const lock = await lockFolder(process.argv[2]);
    console.log("locked");
    process.stdin.once("data", async () => {
      await lock.release();
      console.log("released");
    });
  } catch (error) {
    console.log(error.code + " " + error.message);
  }
`;

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "folder-lock-"));
  try {
    await use(join(root, "data"));
  } finally {
    await rm(root, { recursive: true });
  }
}

class Locker implements AsyncDisposable {
  readonly #child: ChildProcess;
  #said = "";

  constructor(folder: string) {
    this.#child = spawn(process.execPath, ["--input-type=module", "-e", CHILD, LOCK_MODULE, folder], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
  }

  get pid(): number {
    assert.ok(this.#child.pid !== undefined);
    return this.#child.pid;
  }

  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#said)) {
      assert.ok(this.#child.stdout !== null && this.#child.exitCode === null, `it said: ${this.#said}`);
      await once(this.#child.stdout, "data");
    }
  }

  release(): void {
    this.#child.stdin?.write("release\n");
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

suite("lockFolder()", () => {
  test("makes the folder, private to the user", () =>
    inFolder(async (folder) => {
      await using lock = await lockFolder(folder);
      assert.equal(lock.folder, folder);
      assert.equal((await stat(folder)).mode & 0o777, 0o700);
    }));

  test("refuses a second process and names the first, which a SIGKILL frees", () =>
    inFolder(async (folder) => {
      await using owner = new Locker(folder);
      await owner.says(/^locked\n/);
      await assert.rejects(lockFolder(folder), {
        code: "ELOCKED",
        message: `Cannot use data folder ${folder}: process ${owner.pid} is using it, expected no other owner`,
      });
      await owner.kill();
      await using lock = await lockFolder(folder);
      await using second = new Locker(folder);
      await second.says(new RegExp(`^ELOCKED .*process ${process.pid} is using it`));
      assert.equal(lock.folder, folder);
    }));

  test("refuses the same folder by another path", () =>
    inFolder(async (folder) => {
      await using _lock = await lockFolder(folder);
      await assert.rejects(lockFolder(`${folder}/../data/.`), { code: "ELOCKED" });
    }));

  test("release() frees the folder while its process lives on, and may be called again", () =>
    inFolder(async (folder) => {
      await using owner = new Locker(folder);
      await owner.says(/^locked\n/);
      owner.release();
      await owner.says(/released\n/);
      const lock = await lockFolder(folder);
      await lock.release();
      await lock.release();
      await (await lockFolder(folder)).release();
    }));

  test("refuses a living owner named in the file though the socket is free (another network namespace)", () =>
    inFolder(async (folder) => {
      await using other = new Locker(`${folder}-other`);
      await other.says(/^locked\n/);
      const owner = await readFile(join(`${folder}-other`, "owner.json"), "utf8");
      await (await lockFolder(folder)).release();
      await writeFile(join(folder, "owner.json"), owner);
      await assert.rejects(lockFolder(folder), { code: "ELOCKED", message: new RegExp(`${other.pid}`) });
      await other.kill();
      await (await lockFolder(folder)).release();
    }));

  test("takes over from an owner file of an earlier boot, of a reused pid, or cut short by a crash", () =>
    inFolder(async (folder) => {
      await using other = new Locker(`${folder}-other`);
      await other.says(/^locked\n/);
      const owner = JSON.parse(await readFile(join(`${folder}-other`, "owner.json"), "utf8"));
      await (await lockFolder(folder)).release();
      for (const text of [
        JSON.stringify({ ...owner, bootId: "of another boot" }),
        JSON.stringify({ ...owner, startTicks: "1" }),
        JSON.stringify(owner).slice(0, 10),
        "",
      ]) {
        await writeFile(join(folder, "owner.json"), text);
        await (await lockFolder(folder)).release();
      }
    }));
});

test("isFolderLocked() tells a folder that a process owns from one that is free, and takes nothing", () =>
  inFolder(async (folder) => {
    await using owner = new Locker(folder);
    await owner.says(/^locked\n/);
    assert.equal(await isFolderLocked(folder), true);
    const file = join(folder, "owner.json");
    const written = await readFile(file, "utf8");
    await rm(file);
    assert.equal(await isFolderLocked(folder), true);
    owner.release();
    await owner.says(/released\n/);
    assert.equal(await isFolderLocked(folder), false);
    await (await lockFolder(folder)).release();
    // Its socket is in another network namespace.
    await writeFile(file, written);
    assert.equal(await isFolderLocked(folder), true);
    await owner.kill();
    assert.equal(await isFolderLocked(folder), false);
  }));

test("lockFolder() fails, and does not try for ever, where the file system makes no folders", async () => {
  await assert.rejects(lockFolder("/proc/logagent/data"), { code: "ENOENT" });
});

test("lockFolder() makes the folders above, and names the file that is in their place", async () => {
  await inFolder(async (folder) => {
    const lock = await lockFolder(join(folder, "a/b"));
    await lock.release();
    await writeFile(join(folder, "file"), "");
    await assert.rejects(lockFolder(join(folder, "file")), { code: "EEXIST" });
    await assert.rejects(lockFolder(join(folder, "file/data")), { code: "ENOTDIR" });
  });
});
