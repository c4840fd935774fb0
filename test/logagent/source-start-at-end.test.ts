import assert from "node:assert/strict";
import { appendFileSync, type BigIntStats, type Stats, statSync, unlinkSync, writeFileSync } from "node:fs";
import { afterEach, suite, test } from "node:test";
import { type FsWatcher, real, watchFs } from "../model/watched-fs.ts";
import { SourceBed } from "../support/source-bed.ts";

/** The kernel gives a file the number that another one had; `births: false`: its filesystem does not say when files were born. */
class ReusedNumber implements FsWatcher {
  isExhausted = false;
  readonly #hasBirths: boolean;
  readonly #number: bigint;
  #real: bigint | undefined;

  constructor({ path, hasBirths }: { readonly path: string; readonly hasBirths: boolean }) {
    this.#hasBirths = hasBirths;
    this.#number = statSync(path, { bigint: true }).ino;
  }

  giveTo(path: string): void {
    this.#real = statSync(path, { bigint: true }).ino;
  }

  looked(stats: BigIntStats | Stats): void {
    if (BigInt(stats.ino) === this.#real) {
      Object.assign(stats, { ino: typeof stats.ino === "bigint" ? this.#number : Number(this.#number) });
    }
    if (!this.#hasBirths && "birthtimeNs" in stats) Object.assign(stats, { birthtimeNs: 0n });
  }

  opened(fd: number): void {
    if (!this.isExhausted) return;
    real.closeSync(fd);
    throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
  }

  beforeCall = () => undefined;
  closes = () => undefined;
  read = () => undefined;
}

suite("from: end", () => {
  afterEach(() => watchFs(undefined));

  for (const hasBirths of [true, false]) {
    test(`a later file that gets the number of one that was there is read from its start, ${
      hasBirths ? "by its birth" : "also where births are not kept"
    }`, async () => {
      await using bed = await SourceBed.open();
      writeFileSync(bed.path("old.log"), "old\n");
      const number = new ReusedNumber({ path: bed.path("old.log"), hasBirths });
      watchFs(number);
      const running = bed.start({ path: bed.path("*.log"), from: "end" });
      await bed.step(running);
      unlinkSync(bed.path("old.log"));
      await bed.run(running, 120_000);
      assert.equal(running.source.openFiles, 0);

      writeFileSync(bed.path("new.log"), "1\n2\n3\n");
      number.giveTo(bed.path("new.log"));
      await bed.run(running, 5_000);
      assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
      await bed.stop(running);
    });
  }

  test("a file that was there and could not be opened starts at its end; one that got its number does not", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("old.log"), "old\n");
    writeFileSync(bed.path("gone.log"), "gone\n");
    const number = new ReusedNumber({ path: bed.path("gone.log"), hasBirths: true });
    watchFs(number);
    number.isExhausted = true;
    const running = bed.start({ path: bed.path("*.log"), from: "end" });
    await bed.run(running, 2_000);
    assert.equal(running.source.openFiles, 0);

    unlinkSync(bed.path("gone.log"));
    writeFileSync(bed.path("new.log"), "new\n");
    number.giveTo(bed.path("new.log"));
    number.isExhausted = false;
    await bed.run(running, 30_000);
    appendFileSync(bed.path("old.log"), "1\n");
    await bed.run(running, 5_000);
    assert.deepEqual(bed.sink.lines(), ["new", "1"]);
    await bed.stop(running);
  });
});
