import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFileSync, renameSync, statSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import {
  compress,
  copyTruncate,
  kernelTick,
  losses,
  numbered,
  openCase,
  rotate,
  SETTLED_MS,
  text,
  whileDown,
} from "./tail-case.ts";

suite("a file that is compressed after it was rotated", () => {
  for (const kind of ["gz", "zst"] as const) {
    test(`with unread lines, while it is held: it is read to its end, its .${kind} is not`, async () => {
      await using bed = await openCase();
      const noise = randomBytes(6000).toString("hex").match(/.{60}/g) ?? [];
      writeFileSync(bed.path("app.log"), text(noise));
      const running = bed.start({ path: bed.path("app.log*") });
      await bed.step(running);
      appendFileSync(bed.path("app.log"), "rest\n");
      rotate(bed, "app.log", 1);
      compress(bed.path("app.log.1"), kind);
      appendFileSync(bed.path("app.log"), "next\n");
      await bed.run(running, 90_000);
      assert.deepEqual(bed.sink.lines(), [...noise, "rest", "next"]);
      assert.deepEqual(losses(bed), []);
      await bed.stop(running);
    });

    test(`with unread lines, to .${kind}, while the agent is down: its rest is read, once`, async () => {
      await using bed = await openCase();
      writeFileSync(bed.path("app.log"), text(numbered("app", 0, 100)));
      let running = bed.start({ path: bed.path("app.log") });
      await bed.step(running);
      running = await whileDown(bed, running, async () => {
        appendFileSync(bed.path("app.log"), text(numbered("app", 100, 50)));
        rotate(bed, "app.log", 1);
        await kernelTick();
        compress(bed.path("app.log.1"), kind);
        appendFileSync(bed.path("app.log"), text(numbered("app", 150, 50)));
      });
      await bed.run(running, 2 * SETTLED_MS);
      running = await whileDown(bed, running);
      await bed.run(running, 2 * SETTLED_MS);
      assert.deepEqual(bed.sink.lines(), numbered("app", 0, 200));
      assert.deepEqual(losses(bed), []);
      await bed.stop(running);
    });
  }

  for (const [what, happens] of [
    ["damaged", (path: string) => truncateSync(path, 60)],
    ["renamed to what is no compressed file's name", (path: string) => renameSync(path, `${path}.bak`)],
    ["deleted", unlinkSync],
  ] as const) {
    test(`and ${what} after that, while the agent is down: its rest is lost, which is said`, async () => {
      await using bed = await openCase();
      writeFileSync(bed.path("app.log"), text(numbered("app", 0, 100)));
      let running = bed.start({ path: bed.path("app.log") });
      await bed.step(running);
      const { size } = statSync(bed.path("app.log"));
      running = await whileDown(bed, running, () => {
        appendFileSync(bed.path("app.log"), text(numbered("app", 100, 50)));
        rotate(bed, "app.log", 1);
        compress(bed.path("app.log.1"), "gz");
        happens(bed.path("app.log.1.gz"));
      });
      await bed.run(running, 2 * SETTLED_MS);
      assert.deepEqual(bed.sink.lines(), numbered("app", 0, 100));
      assert.deepEqual(losses(bed), [[size, "unknown", "gone while nobody held it"]]);
      await bed.stop(running);
    });
  }

  test("beside one that begins like it: what is known by a few bytes is not taken for another", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "log\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      unlinkSync(bed.path("app.log"));
      writeFileSync(bed.path("other.log"), "log\nof another\n");
      compress(bed.path("other.log"), "gz");
    });
    await bed.run(running, 2 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["log"]);
    assert.deepEqual(losses(bed), [[4, "unknown", "gone while nobody held it"]]);
    await bed.stop(running);
  });

  for (const name of ["app.log.1.gz", "saved.gz"]) {
    test(`and renamed on from ${name} while it is looked for: its rest is read, whenever that happens`, async () => {
      for (let atLook = 1; atLook <= 8; atLook += 1) {
        await using bed = await openCase();
        writeFileSync(bed.path("app.log"), text(numbered("app", 0, 100)));
        let running = bed.start({ path: bed.path("app.log") });
        await bed.step(running);
        running = await whileDown(bed, running, () => {
          appendFileSync(bed.path("app.log"), text(numbered("app", 100, 50)));
          rotate(bed, "app.log", 1);
          compress(bed.path("app.log.1"), "gz");
          renameSync(bed.path("app.log.1.gz"), bed.path(name));
        });
        const { folders } = bed.scans;
        const look = folders.look.bind(folders);
        let looks = 0;
        folders.look = async (folder) => {
          const found = await look(folder);
          looks += 1;
          if (looks === atLook) renameSync(bed.path(name), bed.path(`next-${name}`));
          return found;
        };
        await bed.run(running, 4 * SETTLED_MS);
        assert.deepEqual(bed.sink.lines(), numbered("app", 0, 150), `at look ${atLook}`);
        assert.deepEqual(losses(bed), [], `at look ${atLook}`);
        await bed.stop(running);
      }
    });
  }

  test("one rotation later, while the agent is down: both generations are read, in order", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    running = await whileDown(bed, running, async () => {
      appendFileSync(bed.path("app.log"), text(numbered("app", 10, 10)));
      rotate(bed, "app.log", 2);
      await kernelTick();
      appendFileSync(bed.path("app.log"), text(numbered("app", 20, 10)));
      await kernelTick();
      rotate(bed, "app.log", 2);
      compress(bed.path("app.log.2"), "gz");
      appendFileSync(bed.path("app.log"), text(numbered("app", 30, 10)));
    });
    await bed.run(running, 4 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 40));
    await bed.stop(running);
  });

  test("as a copy, after both it and the copy were found: it is read on under one id", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 100)));
    let running = bed.start({ path: bed.path("app.log*") });
    await bed.step(running);
    copyTruncate(bed.path("app.log"), bed.path("app.log.1"));
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      unlinkSync(bed.path("app.log"));
      appendFileSync(bed.path("app.log.1"), "rest\n");
      compress(bed.path("app.log.1"), "gz");
    });
    await bed.run(running, 2 * SETTLED_MS);
    const rest = bed.sink.arrived.filter(({ value }) => value.toString() === "rest");
    assert.equal(rest.length, 1);
    await bed.stop(running);
  });

  test("and read to its end before: nothing comes again, whatever matches the compressed one", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 500)));
    let running = bed.start({ path: bed.path("app.log*") });
    await bed.step(running);
    rotate(bed, "app.log", 1);
    await bed.run(running, 90_000);
    compress(bed.path("app.log.1"), "gz");
    renameSync(bed.path("app.log.1.gz"), bed.path("app.log.2.gz"));
    await bed.run(running, 90_000);
    running = await whileDown(bed, running);
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 500));
    await bed.stop(running);
  });
});
