import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SCANS_AT_ONCE_MAX, ScanQueue } from "../../logagent/source/scan-queue.ts";
import { SourceBed } from "../support/source-bed.ts";

const signal = new AbortController().signal;

suite("ScanQueue", () => {
  test("run() lets no more than SCANS_AT_ONCE_MAX scans go on, and begins no more than that in one turn", async () => {
    const scans = new ScanQueue();
    let turn = 0;
    let isOver = false;
    const counting = (async () => {
      for (; !isOver; turn += 1) await nextTurn();
    })();
    let running = 0;
    const most = { running: 0, begun: 0 };
    const begunInTurn = new Map<number, number>();
    const scan = async (isLong: boolean) => {
      running += 1;
      begunInTurn.set(turn, (begunInTurn.get(turn) ?? 0) + 1);
      most.running = Math.max(most.running, running);
      most.begun = Math.max(most.begun, begunInTurn.get(turn) ?? 0);
      if (isLong) await nextTurn();
      running -= 1;
    };
    await Promise.all(Array.from({ length: 100 }, (_, i) => scans.run(() => scan(i >= 50), { signal })));
    isOver = true;
    await counting;
    assert.equal(most.running, SCANS_AT_ONCE_MAX);
    assert.ok(most.begun <= SCANS_AT_ONCE_MAX, `${most.begun} scans began in one turn`);
    assert.equal(scans.waiting, 0);
  });

  test("runFirst() lets no scan begin before its work has ended, whoever asks for one meanwhile", async () => {
    const scans = new ScanQueue();
    const [one, two] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = [scans.runFirst(() => one.promise), scans.runFirst(() => two.promise)];
    let hasBegun = false;
    const scan = async () => {
      hasBegun = true;
    };
    const scanning = scans.run(scan, { signal });
    one.resolve();
    await first[0];
    for (let turns = 0; turns < 10; turns++) await nextTurn();
    assert.ok(!hasBegun);
    two.resolve();
    await Promise.all([first[1], scanning]);
    assert.ok(hasBegun);
  });

  test("run() leaves the queue when its signal is aborted, and its scan never begins", async () => {
    const scans = new ScanQueue();
    const held = Promise.withResolvers<void>();
    const holding = Array.from({ length: SCANS_AT_ONCE_MAX }, () =>
      scans.run(() => held.promise, { signal }),
    );
    const stopping = new AbortController();
    let hasBegun = false;
    const refused = scans.run(
      async () => {
        hasBegun = true;
      },
      { signal: stopping.signal },
    );
    await nextTurn();
    assert.equal(scans.waiting, 1);
    stopping.abort(new Error("the task stops"));
    await assert.rejects(refused, /the task stops/);
    assert.equal(scans.waiting, 0);
    held.resolve();
    await Promise.all(holding);
    assert.ok(!hasBegun);
  });

  test("run() waits for a scan that has begun, also when its signal is aborted, and gives its place away after it", async () => {
    const scans = new ScanQueue();
    const stopping = new AbortController();
    const held = Promise.withResolvers<void>();
    const order: string[] = [];
    const running = Array.from({ length: SCANS_AT_ONCE_MAX }, async () => {
      await scans.run(() => held.promise, { signal: stopping.signal });
      order.push("first");
    });
    await nextTurn();
    await nextTurn();
    stopping.abort(new Error("the task stops"));
    const next = scans.run(async () => void order.push("next"), { signal });
    await nextTurn();
    assert.deepEqual(order, []);
    held.resolve();
    await Promise.all([...running, next]);
    assert.equal(order.at(-1), "next");
  });

  test("run() rejects with what the scan throws, and goes on with the next", async () => {
    const scans = new ScanQueue();
    await assert.rejects(
      scans.run(() => Promise.reject(new Error("disk on fire")), { signal }),
      /disk on fire/,
    );
    await scans.run(() => Promise.resolve(), { signal });
  });
});

suite("TailSource.stop()", () => {
  test("ends a poll whose scan waits for its turn, which then looks for no files", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    const held = Promise.withResolvers<void>();
    const holding = Array.from({ length: SCANS_AT_ONCE_MAX }, () =>
      bed.scans.run(() => held.promise, { signal }),
    );
    const running = bed.start({ path: bed.path("*.log") });
    const polled = running.source.poll();
    assert.equal(bed.scans.waiting, 1);
    await bed.stop(running);
    await polled;
    assert.equal(running.source.openFiles, 0);
    assert.deepEqual(running.context.problems.list(), []);
    held.resolve();
    await Promise.all(holding);
  });
});
