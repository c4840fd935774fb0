import assert from "node:assert/strict";
import { appendFileSync, ftruncateSync, openSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { entrySchema } from "../../conf/collect-config.ts";
import { TURN_MS } from "../../logagent/rules/token-bucket.ts";
import { SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { SourceContext } from "../../logagent/source/source-context.ts";
import { TailSource } from "../../logagent/source/tail-source.ts";
import { watchFs } from "../model/watched-fs.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";

/** Starts a source for `a.log` with what an entry may say. */
function start(bed: SourceBed, fields: Readonly<Record<string, unknown>>): Running {
  const entry = entrySchema.parse({ path: bed.path("a.log"), topic: "t", ...fields });
  const context = new SourceContext(entry, bed.deps);
  bed.claims.add(entry.path);
  return { source: new TailSource(context), context };
}

/** What the next life knows is what was written: nothing more after a kill. */
async function endLife(bed: SourceBed, running: Running, isKilled: boolean): Promise<void> {
  await bed.checkpoints.persisted();
  await bed.stop(running);
  if (!isKilled) await bed.checkpoints.close();
  await bed.openCheckpoints();
}

const offsetOf = (bed: SourceBed): number | undefined => [...bed.checkpoints.records()][0]?.offset;

suite("TailSource with rules", () => {
  test("holds a last line without its newline, and ships it after partialLineTimeoutMs as part 1", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "one\ntw");
    const running = start(bed, { partialLineTimeoutMs: 3000 });
    await bed.run(running, 2500);
    assert.deepEqual(bed.sink.lines(), ["one"]);
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["one", "tw"]);
    assert.equal(offsetOf(bed), 6);
    appendFileSync(bed.path("a.log"), "o\nthree\n");
    await bed.run(running, 500);
    assert.deepEqual(bed.sink.lines(), ["one", "tw", "o", "three"]);
    assert.equal(running.context.totals.linesCut, 0);
    assert.equal(offsetOf(bed), 14);
    await bed.stop(running);
  });

  test("keeps lines together that are written one by one, and ships them when none has come for timeoutMs", async () => {
    await using bed = await SourceBed.open();
    const running = start(bed, { multiline: { preset: "java", timeoutMs: 2000 } });
    for (const line of [
      "ERROR no",
      "java.io.IOException: disk",
      "\tat a.B.c(B.java:1)",
      "\tat a.B.d(B.java:2)",
    ]) {
      appendFileSync(bed.path("a.log"), `${line}\n`);
      await bed.run(running, 1000);
    }
    assert.deepEqual(bed.sink.lines(), []);
    await bed.run(running, 1500);
    const trace = "ERROR no\njava.io.IOException: disk\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)";
    assert.deepEqual(bed.sink.lines(), [trace]);
    assert.equal(offsetOf(bed), trace.length + 1);
    appendFileSync(bed.path("a.log"), "INFO a\nINFO b\n");
    await bed.run(running, 250);
    assert.deepEqual(bed.sink.lines(), [trace, "INFO a"]);
    await bed.stop(running);
  });

  test("ships what waits when a renamed file is finished", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "START 1\n 2\n 3");
    const running = start(bed, { multiline: { start: "^START", timeoutMs: 60_000 } });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), []);
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    writeFileSync(bed.path("a.log"), "START 4\nSTART 5\n");
    await bed.run(running, 5000);
    assert.deepEqual(bed.sink.lines(), ["START 1\n 2\n 3", "START 4"]);
    await bed.stop(running);
  });

  test("counts lines that rules leave out, and moves the checkpoint over them", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "DEBUG 1\nINFO 2\nDEBUG 3\n");
    const running = start(bed, { exclude: ["^DEBUG"] });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["INFO 2"]);
    assert.equal(running.context.totals.linesDropped, 2);
    assert.equal(offsetOf(bed), 23);
    appendFileSync(bed.path("a.log"), "DEBUG 4\n");
    await bed.step(running, 250);
    assert.equal(offsetOf(bed), 31);
    await bed.stop(running);
  });

  test("goes on behind the rest of a truncated line", async () => {
    await using bed = await SourceBed.open();
    const long = "x".repeat(3_000_000);
    writeFileSync(bed.path("a.log"), `a\n${long}`);
    const running = start(bed, { longLines: "truncate", maxLineBytes: 2048 });
    await bed.step(running);
    appendFileSync(bed.path("a.log"), `${"y".repeat(100_000)}\nb\n`);
    await bed.run(running, 500);
    assert.deepEqual(bed.sink.lines(), ["a", `${long.slice(0, 2037)}[truncated]`, "b"]);
    const { linesTruncated, bytesTruncated } = running.context.totals;
    assert.deepEqual([linesTruncated, bytesTruncated], [1, 3_100_001 - 2037]);
    assert.equal(offsetOf(bed), 3_100_005);
    assert.equal(bed.logged.filter(({ msg }) => msg.startsWith("line is longer")).length, 1);
    await bed.stop(running);
  });

  for (const isKilled of [false, true]) {
    const how = isKilled ? "was killed" : "has ended";
    test(`counts the parts of a line on after an agent ${how} in it`, async () => {
      await using bed = await SourceBed.open();
      const fields = { maxLineBytes: 1024, partialLineTimeoutMs: 1000 };
      writeFileSync(bed.path("a.log"), `a\n${"x".repeat(2_500)}`);
      const first = start(bed, fields);
      await bed.run(first, 2_000);
      await endLife(bed, first, isKilled);
      appendFileSync(bed.path("a.log"), `${"y".repeat(100)}\nb\n`);
      const second = start(bed, fields);
      await bed.run(second, 500);
      const marks = bed.sink.arrived.map(({ value, part }) => [
        value.length,
        part === undefined ? "" : `${part.part}${part.isLast ? " last" : ""}`,
      ]);
      assert.deepEqual(marks, [
        [1, ""],
        [1024, "1"],
        [1024, "2"],
        [452, "3"],
        [100, "4 last"],
        [1, ""],
      ]);
      assert.equal(
        [...bed.checkpoints.records()][0]?.position,
        undefined,
        "at the start of a line there is none",
      );
      await bed.stop(second);
    });

    test(`takes the rest of a truncated line for no line after an agent ${how} in it`, async () => {
      await using bed = await SourceBed.open();
      const fields = { longLines: "truncate", maxLineBytes: 1024 };
      writeFileSync(bed.path("a.log"), `a\n${"x".repeat(2_500)}`);
      const first = start(bed, fields);
      await bed.run(first, 2_000);
      await endLife(bed, first, isKilled);
      appendFileSync(bed.path("a.log"), `${"y".repeat(100)}\nb\n`);
      const second = start(bed, fields);
      await bed.run(second, 500);
      assert.deepEqual(bed.sink.lines(), ["a", `${"x".repeat(1013)}[truncated]`, "b"]);
      assert.equal(first.context.totals.bytesTruncated + second.context.totals.bytesTruncated, 2_601 - 1013);
      await bed.stop(second);
    });

    test(`counts the parts of lines that belong together on after an agent ${how} in them`, async () => {
      await using bed = await SourceBed.open();
      const fields = { multiline: { start: "^S", maxLines: 2, timeoutMs: 1000 } };
      writeFileSync(bed.path("a.log"), "S\n1\n2\n3\n4\n");
      const first = start(bed, fields);
      await bed.run(first, 500);
      await endLife(bed, first, isKilled);
      appendFileSync(bed.path("a.log"), "5\nS\n");
      const second = start(bed, fields);
      await bed.run(second, 2_000);
      const marks = bed.sink.arrived.map(({ value, part }) => [`${value}`, part?.part, part?.isLast]);
      assert.deepEqual(marks, [
        ["S\n1", 1, false],
        ["2\n3", 2, false],
        ["4\n5", 3, true],
        ["S", undefined, undefined],
      ]);
      await bed.stop(second);
    });
  }

  test("redacts, wraps and decodes", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), Buffer.from("\ufeffpin=1234 é\r\nok\r\n", "utf16le"));
    const running = start(bed, {
      encoding: "utf-16le",
      redact: [{ pattern: "\\d{4}" }],
      format: "json",
      fields: { env: "prod" },
    });
    await bed.step(running);
    const records = bed.sink.arrived.map(({ value }) => JSON.parse(value.toString()) as unknown);
    const time = new Date(1_800_000_000_000).toISOString();
    const path = bed.path("a.log");
    assert.deepEqual(records, [
      { time, ip: "10.0.0.1", path, offset: 0, line: "pin=*** é", env: "prod" },
      { time, ip: "10.0.0.1", path, offset: 26, line: "ok", env: "prod" },
    ]);
    assert.deepEqual(
      bed.sink.arrived.map(({ offset }) => offset),
      [0, 26],
    );
    await bed.stop(running);
  });

  test("ships the NULs of a hole, in parts, and what is behind it", async () => {
    await using bed = await SourceBed.open();
    const fd = openSync(bed.path("a.log"), "a");
    ftruncateSync(fd, 2_500_000);
    writeFileSync(fd, "end\n");
    const running = start(bed, { maxLineBytes: 1024 * 1024 });
    await bed.step(running);
    assert.equal(bed.sink.lines().join(""), `${"\0".repeat(2_500_000)}end`);
    assert.equal(bed.sink.lines().length, 3);
    assert.equal(offsetOf(bed), 2_500_004);
    await bed.stop(running);
  });

  test("leaves a file alone that was last written too long ago, until it is written to", async () => {
    await using bed = await SourceBed.open();
    const nowSeconds = 1_800_000_000;
    writeFileSync(bed.path("a.log"), "old\n");
    utimesSync(bed.path("a.log"), nowSeconds - 3601, nowSeconds - 3601);
    const running = start(bed, { ignoreOlderThanSeconds: 3600 });
    await bed.run(running, 2000);
    assert.deepEqual(bed.sink.lines(), []);
    assert.equal(running.source.openFiles, 0);
    appendFileSync(bed.path("a.log"), "new\n");
    utimesSync(bed.path("a.log"), nowSeconds, nowSeconds);
    await bed.run(running, 2000);
    assert.deepEqual(bed.sink.lines(), ["old", "new"]);
    utimesSync(bed.path("a.log"), 1, 1);
    await bed.stop(running);
    // What was shipped of it counts more than its age.
    appendFileSync(bed.path("a.log"), "more\n");
    utimesSync(bed.path("a.log"), 1, 1);
    const again = start(bed, { ignoreOlderThanSeconds: 3600 });
    await bed.run(again, 2000);
    assert.deepEqual(bed.sink.lines(), ["old", "new", "more"]);
    await bed.stop(again);
  });

  test("reads no more lines than its rate allows, and drops none", async () => {
    await using bed = await SourceBed.open();
    const lines = Array.from({ length: 20 }, (_, n) => `line ${n}`);
    writeFileSync(bed.path("a.log"), `${lines.join("\n")}\n`);
    const running = start(bed, { rateLimit: { linesPerSecond: 4 } });
    await running.source.poll();
    for (let allowed = 4; allowed <= 20; allowed += 1) {
      await until(() => bed.sink.lines().length === allowed);
      assert.deepEqual(bed.sink.lines(), lines.slice(0, allowed));
      for (let i = 0; i < 20; i++) await setImmediate();
      assert.equal(bed.sink.lines().length, allowed);
      bed.clock.advance(250);
    }
    await bed.stop(running);
    assert.equal(offsetOf(bed), lines.join("\n").length + 1);
  });

  test("has read what it ships of a line that waited for its end, also under a rate limit", async () => {
    await using bed = await SourceBed.open();
    const running = start(bed, { rateLimit: { linesPerSecond: 100 } });
    const text = "first\nsecond, which waits";
    writeFileSync(bed.path("a.log"), text);
    await bed.run(running, 1000);
    assert.ok(running.context.totals.bytesRead >= text.length, "it is read");
    appendFileSync(bed.path("a.log"), "\n");
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["first", "second, which waits"]);
    const [record] = bed.checkpoints.records();
    const { read = 0, framed = 0 } = record?.account ?? {};
    assert.equal(framed, text.length + 1);
    assert.ok(framed <= read, `framed ${framed}, read ${read}`);
    await bed.stop(running);
  });

  test("does not read a chunk anew for each line that its rate allows", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "some line\n".repeat(100_000));
    const running = start(bed, { rateLimit: { linesPerSecond: 100 } });
    let readBytes = 0;
    const read = (_fd: number, _position: number, bytes: number) => {
      readBytes += bytes;
    };
    watchFs({ read });
    const seconds = 3;
    try {
      await running.source.poll();
      await until(() => bed.sink.lines().length === 100);
      for (let passedMs = 0; passedMs < seconds * 1000; passedMs += 10) {
        for (let i = 0; i < 20; i++) await setImmediate();
        bed.clock.advance(10);
      }
    } finally {
      watchFs(undefined);
    }
    const lines = bed.sink.lines().length;
    assert.ok(lines >= 100 * seconds && lines <= 100 * (seconds + 1), `${lines} lines`);
    const turns = 1 + (seconds * 1000) / TURN_MS;
    assert.ok(readBytes <= (turns + 1) * SMALL_CHUNK_BYTES, `${readBytes} bytes`);
    assert.equal(running.context.totals.bytesRead, lines * "some line\n".length);
    await bed.stop(running);
  });
});

async function until(isDone: () => boolean): Promise<void> {
  for (let turns = 0; !isDone(); turns++) {
    assert.ok(turns < 100_000, "what is waited for happens");
    await setImmediate();
  }
}
