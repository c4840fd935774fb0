import assert from "node:assert/strict";
import { appendFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import {
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

suite("while the agent is down", () => {
  test("a file is renamed with unread lines, and another begun: both are read, in order", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 100)));
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      appendFileSync(bed.path("app.log"), text(numbered("app", 100, 100)));
      rotate(bed, "app.log", 3);
      appendFileSync(bed.path("app.log"), text(numbered("app", 200, 100)));
    });
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 300));
    await bed.stop(running);
  });

  test("a file is rotated three times: what it missed is found under the names it never saw", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "0\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    running = await whileDown(bed, running, async () => {
      for (let turn = 1; turn <= 3; turn++) {
        await kernelTick();
        rotate(bed, "app.log", 5);
        appendFileSync(bed.path("app.log"), `${turn}\n`);
      }
    });
    await bed.run(running, 4 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["0", "1", "2", "3"]);
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("a file that begins with a kilobyte of banner moves within the pattern: only its rest is read", async () => {
    await using bed = await openCase();
    const banner = "x".repeat(1500);
    writeFileSync(bed.path("a.log"), `${banner}\n`);
    let running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      renameSync(bed.path("a.log"), bed.path("b.log"));
      writeFileSync(bed.path("a.log"), `${banner}\nother\n`);
      appendFileSync(bed.path("b.log"), "rest\n");
    });
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines().sort(), ["other", "rest", banner, banner].sort());
    await bed.stop(running);
  });

  test("a file is rotated away and deleted with unread lines: that is said", async () => {
    await using bed = await openCase({ autoAck: false });
    writeFileSync(bed.path("app.log"), "1\n2\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    bed.sink.ackAll();
    appendFileSync(bed.path("app.log"), "3\n");
    await bed.step(running, 250);
    running = await whileDown(bed, running, () => {
      unlinkSync(bed.path("app.log"));
      writeFileSync(bed.path("app.log"), "4\n");
    });
    await bed.run(running, SETTLED_MS);
    assert.equal(bed.sink.lines().at(-1), "4");
    assert.deepEqual(losses(bed), [
      [4, 6, "gone while nobody held it"],
      [6, "unknown", "gone while nobody held it"],
    ]);
    await bed.stop(running);
  });

  test("a line that it had seen half is completed: it is read once, whole", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "partial");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), []);
    running = await whileDown(bed, running, () => appendFileSync(bed.path("app.log"), " line\nnext\n"));
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["partial line", "next"]);
    await bed.stop(running);
  });

  test("nothing happens: nothing is read again", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    writeFileSync(bed.path("app.log.1"), "0\n");
    let running = bed.start({ path: bed.path("app.log*") });
    await bed.step(running);
    for (let turn = 0; turn < 5; turn++) {
      running = await whileDown(bed, running);
      await bed.run(running, 1000);
    }
    assert.deepEqual(bed.sink.lines().sort(), ["0", "1"]);
    await bed.stop(running);
  });

  test("a file grows from a few bytes past what identifies it: it goes on where it was, each time", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 1)));
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    for (const [from, count] of [
      [1, 1],
      [2, 998],
      [1000, 1000],
    ] as const) {
      running = await whileDown(bed, running, () =>
        appendFileSync(bed.path("app.log"), text(numbered("app", from, count))),
      );
      await bed.run(running, 1000);
    }
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 2000));
    await bed.stop(running);
  });

  test("a file is copied and truncated: only what is new in it is read", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "before\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      copyTruncate(bed.path("app.log"), bed.path("app.log.1"));
      appendFileSync(bed.path("app.log"), "after, and longer than before\n");
    });
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["before", "after, and longer than before"]);
    // What was written behind the last look and cut off nobody knows.
    assert.deepEqual(losses(bed), [[7, "unknown", "replaced while the agent was down"]]);
    await bed.stop(running);
  });

  test("its checkpoints are damaged: those before them are used, and nothing is lost", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 5)));
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () =>
      writeFileSync(join(bed.folder, "checkpoints", "checkpoints"), '{"curr_offs":\n'),
    );
    await bed.run(running, 1000);
    assert.deepEqual([...new Set(bed.sink.lines())], numbered("app", 0, 5));
    assert.ok(
      bed.logged.some(({ level }) => level >= 40),
      "it says so",
    );
    await bed.stop(running);
  });

  test("a rotation that it was in the middle of goes on: old lines still come before new ones", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), "2\n");
    rotate(bed, "app.log", 3);
    appendFileSync(bed.path("app.log"), "4\n");
    await bed.run(running, 1000);
    running = await whileDown(bed, running, () => appendFileSync(bed.path("app.log.1"), "3\n"));
    await bed.run(running, 1000);
    running = await whileDown(bed, running, async () => {
      await kernelTick();
      rotate(bed, "app.log", 3);
      appendFileSync(bed.path("app.log"), "5\n");
    });
    await bed.run(running, 4 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4", "5"]);
    await bed.stop(running);
  });
});

suite("when the agent ends before the destination has confirmed", () => {
  test("what was not confirmed is sent again, also when it never arrived", async () => {
    await using bed = await openCase({ autoAck: false });
    writeFileSync(bed.path("app.log"), "1\n2\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    bed.sink.ackAll();
    appendFileSync(bed.path("app.log"), "3\n4\n");
    await bed.step(running, 250);
    bed.sink.forget(() => true);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    running = await whileDown(bed, running, () => rotate(bed, "app.log", 1));
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4"]);
    await bed.stop(running);
  });

  test("again and again, with a rotation each time, nothing is missed and the order is kept", async () => {
    await using bed = await openCase({ autoAck: false });
    writeFileSync(bed.path("app.log"), "1\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    for (let turn = 2; turn <= 5; turn++) {
      bed.sink.forget(() => true);
      running = await whileDown(bed, running, async () => {
        await kernelTick();
        rotate(bed, "app.log", 9);
        appendFileSync(bed.path("app.log"), `${turn}\n`);
      });
      await bed.run(running, 500);
    }
    bed.sink.forget(() => true);
    bed.sink.autoAck = true;
    running = await whileDown(bed, running);
    await bed.run(running, 6 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4", "5"]);
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });
});
