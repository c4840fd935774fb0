import assert from "node:assert/strict";
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { losses, openCase, SETTLED_MS } from "./tail-case.ts";

suite("a line", () => {
  test("longer than any buffer comes in parts, all of it, and those around it come too", async () => {
    await using bed = await openCase();
    const long = "x".repeat(3_000_000);
    writeFileSync(bed.path("app.log"), `before\n${long}\nafter\n`);
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    const lines = bed.sink.lines();
    assert.equal(lines[0], "before");
    assert.equal(lines.at(-1), "after");
    assert.equal(lines.slice(1, -1).join(""), long);
    await bed.stop(running);
  });

  test("longer than any buffer at the end of a file that is rotated", async () => {
    await using bed = await openCase();
    const long = "x".repeat(3_000_000);
    writeFileSync(bed.path("app.log"), "before\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), long);
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    writeFileSync(bed.path("app.log"), "after\n");
    await bed.run(running, 2 * SETTLED_MS);
    assert.equal(bed.sink.lines().join("\n").replaceAll("x\nx", "xx"), `before\n${long}\nafter`);
    await bed.stop(running);
  });

  test("that is written byte by byte, with pauses, comes once and whole", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "");
    const running = bed.start({ path: bed.path("app.log") });
    for (const byte of "slow\r\nsecond\r\n") {
      appendFileSync(bed.path("app.log"), byte);
      await bed.run(running, 3000);
    }
    assert.deepEqual(bed.sink.lines(), ["slow", "second"]);
    await bed.stop(running);
  });

  test("that is empty comes as an empty line", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "\n\r\na\n\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["", "", "a", ""]);
    await bed.stop(running);
  });

  test("of bytes that are no text comes as it is", async () => {
    await using bed = await openCase();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 10 && i !== 13));
    writeFileSync(bed.path("app.log"), Buffer.concat([bytes, Buffer.from("\n")]));
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.arrived[0]?.value, bytes);
    await bed.stop(running);
  });

  test("in Shift JIS, whose second bytes may look like others, comes in UTF-8", async () => {
    await using bed = await openCase();
    // "表示" is 95 5c 8e a6: its second byte is a backslash's.
    writeFileSync(bed.path("app.log"), Buffer.from([0x95, 0x5c, 0x8e]));
    const running = bed.start({ path: bed.path("app.log"), encoding: "shift_jis" });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), Buffer.from([0xa6, 0x0a]));
    await bed.run(running, 1000);
    assert.deepEqual(
      bed.sink.arrived.map(({ value }) => value.toString()),
      ["表示"],
    );
    await bed.stop(running);
  });

  test("of a stack trace stays with its record, also when the file is rotated in the middle", async () => {
    await using bed = await openCase();
    const trace = "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)";
    writeFileSync(bed.path("app.log"), `one\n${trace.slice(0, 40)}`);
    const running = bed.start({
      path: bed.path("app.log"),
      multiline: { preset: "java", maxLines: 500, maxBytes: 524_288, timeoutMs: 60_000 },
    });
    await bed.step(running);
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    appendFileSync(bed.path("app.log.1"), `${trace.slice(40)}\n`);
    writeFileSync(bed.path("app.log"), "two\nthree\n");
    await bed.run(running, 2 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines().slice(0, 2), [`one\n${trace}`, "two"]);
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });
});
