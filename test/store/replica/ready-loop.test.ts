import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { suite, test } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import { EMPTY_LIST, ListState } from "../../support/list-state.ts";
import { NO_SNAPSHOTS } from "../../support/no-peers.ts";
import { FOLDER, put, ReplicaBed, read, turns } from "./replica-bed.ts";

suite("openReplica()", () => {
  test("resolves when it leads, without time passing", async () => {
    const bed = new ReplicaBed();
    await using replica = await bed.open();
    assert.equal(replica.status.role, "leader");
    assert.equal(replica.status.applied, 2, "the entry that names the member, and the leader's first own");
    assert.equal(bed.clock.monotonicMs(), 0);
  });

  test("applies what the log has behind the backend, each entry once", async () => {
    const bed = new ReplicaBed();
    const state = new ListState();
    const first = await bed.open({ state, limits: { flushMs: 1e9 } });
    for (let i = 0; i < 5; i += 1) await put(first, `v${i}`);
    assert.deepEqual(state.image, EMPTY_LIST);
    bed.memory.crash({ random: seededRandom(1) });
    await using again = await bed.open();
    assert.deepEqual(again.state.values, ["v0", "v1", "v2", "v3", "v4"]);
    assert.equal(again.status.term, 3);
  });

  test("waits for a long log to be applied, however short the request timeout is", async () => {
    const bed = new ReplicaBed();
    const first = await bed.open({ limits: { flushMs: 1e9 } });
    for (let i = 0; i < 5; i += 1) await put(first, `v${i}`);
    bed.memory.crash({ random: seededRandom(1) });
    const state = new ListState();
    state.onApply = () => bed.clock.advance(200);
    await using again = await bed.open({ state, limits: { requestTimeoutMs: 250, applyMs: 10 } });
    assert.deepEqual(again.state.values, ["v0", "v1", "v2", "v3", "v4"]);
  });

  test("keeps the ids that the data folder was made with, and says so", async () => {
    const bed = new ReplicaBed();
    await (await bed.open()).close();
    await using again = await bed.open({
      memberId: 0xbbn,
      image: { index: 1, term: 1, values: [], confState: EMPTY_LIST.confState },
    });
    assert.equal(again.memberId, 0xa1n);
    assert.ok(bed.logged.some(({ askedMember, member }) => askedMember === "bb" && member === "a1"));
  });

  test("rejects with the error of the disk when the entries that begin the log cannot be written", async () => {
    const bed = new ReplicaBed();
    bed.memory.failNth("sync", 2, "EIO");
    await assert.rejects(bed.open(), { code: "EWALWRITE" });
    assert.deepEqual(bed.fatal, [], "who opens it is told");
  });

  test("rejects with the error of the disk when the first write as a member fails, and reports it once", async () => {
    const bed = new ReplicaBed();
    bed.memory.failNth("sync", 3, "EIO");
    await assert.rejects(bed.open(), { code: "EWALWRITE" });
    assert.equal(bed.fatal.length, 1);
  });

  test("rejects when applying trips over something, and reports it once", async () => {
    const bed = new ReplicaBed();
    const state = new ListState();
    state.onApply = () => {
      throw new Error("cannot apply");
    };
    await assert.rejects(bed.open({ state }), { message: "cannot apply" });
    assert.deepEqual(
      bed.fatal.map((error) => (error as Error).message),
      ["cannot apply"],
    );
  });
});

suite("ReadyLoop.propose()", () => {
  test("resolves with the answer to its own entry", async () => {
    await using replica = await new ReplicaBed().open();
    const answers = await Promise.all(["a", "b", "c"].map((value) => put(replica, value)));
    assert.deepEqual(answers, ["a", "b", "c"]);
    assert.deepEqual(replica.state.values, ["a", "b", "c"]);
  });

  test("puts all proposals of a turn into one write and one sync", async () => {
    const bed = new ReplicaBed();
    await using replica = await bed.open({ limits: { segmentBytes: 1 << 20 } });
    const before = { ...Object.fromEntries(bed.memory.counts) };
    await Promise.all(Array.from({ length: 500 }, (_, i) => put(replica, `v${i}`)));
    assert.equal((bed.memory.counts.get("write") ?? 0) - (before.write ?? 0), 1);
    assert.equal((bed.memory.counts.get("sync") ?? 0) - (before.sync ?? 0), 1);
  });

  test("gathers the next batch while a write is under way", async () => {
    const bed = new ReplicaBed();
    await using replica = await bed.open({ limits: { segmentBytes: 1 << 20 } });
    const before = bed.memory.counts.get("sync") ?? 0;
    const first = put(replica, "first");
    await turns(1);
    const later: Promise<string>[] = [];
    for (let i = 0; i < 3; i += 1) {
      later.push(put(replica, `later ${i}`));
      await Promise.resolve();
    }
    await Promise.all([first, ...later]);
    assert.equal((bed.memory.counts.get("sync") ?? 0) - before, 2);
    assert.deepEqual(replica.state.values, ["first", "later 0", "later 1", "later 2"]);
  });

  test("does not resolve before the sync is done", async () => {
    const bed = new ReplicaBed();
    const gate = Promise.withResolvers<void>();
    let isGated = false;
    bed.inFront = (disk) => ({
      ...disk,
      open: async (path, options) => {
        const file = await disk.open(path, options);
        const sync = async () => {
          if (isGated) await gate.promise;
          await file.sync();
        };
        return { ...file, sync };
      },
    });
    await using replica = await bed.open();
    isGated = true;
    let answered = false;
    const answer = put(replica, "a").then(() => {
      answered = true;
    });
    await turns(50);
    assert.deepEqual([answered, replica.state.values], [false, []]);
    gate.resolve();
    await answer;
    assert.deepEqual(replica.state.values, ["a"]);
  });

  test("rejects with Timeout after the request timeout, and the entry may still be applied", async () => {
    const bed = new ReplicaBed();
    await using replica = await bed.open({ limits: { requestTimeoutMs: 250 } });
    const answer = put(replica, "late");
    const rejected = assert.rejects(answer, { code: "Timeout", message: "etcdserver: request timed out" });
    // The tick wakes before the disk does: both come in the next turns.
    bed.clock.advance(300);
    await rejected;
    await turns(20);
    assert.deepEqual(replica.state.values, ["late"]);
  });

  test("rejects with the signal's reason, before and while it waits", async () => {
    await using replica = await new ReplicaBed().open();
    const reason = new Error("gone");
    await assert.rejects(put(replica, "never", { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const answer = put(replica, "a", { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(answer, reason);
    await put(replica, "b");
    assert.deepEqual(replica.state.values, ["a", "b"]);
  });

  test("rejects with TooManyRequests above the number of waiting proposals, and recovers", async () => {
    await using replica = await new ReplicaBed().open({ limits: { waitingProposals: 3 } });
    const answers = ["a", "b", "c"].map((value) => put(replica, value));
    await assert.rejects(put(replica, "d"), {
      code: "TooManyRequests",
      message: "etcdserver: too many requests",
    });
    await Promise.all(answers);
    assert.equal(await put(replica, "e"), "e");
  });

  test("rejects with TooManyRequests above the bytes of uncommitted proposals", async () => {
    await using replica = await new ReplicaBed().open({ limits: { uncommittedBytes: 100 } });
    const first = put(replica, "x".repeat(90));
    await assert.rejects(put(replica, "y"), { code: "TooManyRequests" });
    await first;
    assert.equal(await put(replica, "z"), "z");
  });

  test("rejects with TooManyRequests while committed entries wait to be applied beyond the gap", async () => {
    const bed = new ReplicaBed();
    const state = new ListState();
    await using replica = await bed.open({ state, limits: { unappliedEntries: 10, applyMs: 10 } });
    state.onApply = () => bed.clock.advance(10);
    const answers = Array.from({ length: 40 }, (_, i) => put(replica, `v${i}`));
    while (replica.status.commit < 40) await turns(1);
    await assert.rejects(put(replica, "w"), { code: "TooManyRequests" });
    await Promise.all(answers);
    assert.equal(await put(replica, "w"), "w");
  });
});

suite("ReadyLoop.readIndex()", () => {
  test("resolves when everything acknowledged before is applied", async () => {
    await using replica = await new ReplicaBed().open();
    await put(replica, "a");
    await read(replica);
    assert.equal(replica.status.applied, replica.status.commit);
  });

  test("waits for committed entries that are not applied yet", async () => {
    const bed = new ReplicaBed();
    const state = new ListState();
    await using replica = await bed.open({ state });
    state.onApply = () => bed.clock.advance(10);
    const answers = Array.from({ length: 20 }, (_, i) => put(replica, `v${i}`));
    while (replica.status.commit < 21) await turns(1);
    assert.ok(state.values.length < 20);
    await read(replica);
    assert.equal(state.values.length, 20);
    await Promise.all(answers);
  });

  test("answers many readers, and a reader that gave up is told so", async () => {
    await using replica = await new ReplicaBed().open();
    const controller = new AbortController();
    const reason = new Error("gone");
    const readers = Array.from({ length: 100 }, () => read(replica));
    const quitter = read(replica, controller.signal);
    controller.abort(reason);
    await assert.rejects(quitter, reason);
    await Promise.all(readers);
    await assert.rejects(read(replica, AbortSignal.abort(reason)), reason);
  });

  test("rejects with TooManyRequests above the limit of readers", async () => {
    await using replica = await new ReplicaBed().open({ limits: { waitingReads: 2 } });
    const readers = [read(replica), read(replica)];
    await assert.rejects(read(replica), { code: "TooManyRequests" });
    await Promise.all(readers);
  });
});

suite("ReadyLoop, applying", () => {
  test("lets other work run every applyMs", async () => {
    const bed = new ReplicaBed();
    const state = new ListState();
    await using replica = await bed.open({ state, limits: { applyMs: 10 } });
    state.onApply = () => bed.clock.advance(4);
    const stretches: number[] = [];
    let seen = 0;
    const answers = Array.from({ length: 30 }, (_, i) => put(replica, `v${i}`));
    while (state.values.length < 30) {
      await turns(1);
      if (state.values.length > seen) stretches.push(state.values.length - seen);
      seen = state.values.length;
    }
    assert.deepEqual(
      stretches,
      Array.from({ length: 10 }, () => 3),
    );
    await Promise.all(answers);
  });

  test("runs compaction in steps, a step a turn, and flushes what it did", async () => {
    const bed = new ReplicaBed();
    const state = new ListState();
    await using replica = await bed.open({ state });
    state.compactSteps = 50;
    await put(replica, "a");
    assert.ok(state.compactSteps > 0, "calls are answered meanwhile");
    await turns(60);
    assert.equal(state.compactSteps, 0);
    bed.clock.advance(100);
    await turns(10);
    assert.equal(state.flushedIndex, replica.status.applied);
  });

  test("compacted() resolves when the last step is done, and rejects when its caller or the replica goes first", async () => {
    const bed = new ReplicaBed();
    const state = new ListState();
    const replica = await bed.open({ state });
    await replica.compacted({ signal: new AbortController().signal });
    state.compactSteps = 50;
    await put(replica, "a");
    const controller = new AbortController();
    const reason = new Error("gone");
    const quitter = replica.compacted({ signal: controller.signal });
    const waiter = replica.compacted({ signal: new AbortController().signal });
    controller.abort(reason);
    await assert.rejects(quitter, reason);
    await waiter;
    assert.equal(state.compactSteps, 0);
    state.compactSteps = 50;
    await put(replica, "b");
    const refused = assert.rejects(replica.compacted({ signal: new AbortController().signal }), {
      code: "Stopped",
    });
    await replica.close();
    await refused;
    await assert.rejects(replica.compacted({ signal: new AbortController().signal }), { code: "Stopped" });
  });

  test("measures how late its ticks are", async () => {
    const bed = new ReplicaBed();
    await using replica = await bed.open({ limits: { tickMs: 100 } });
    bed.clock.advance(100);
    await turns(2);
    assert.equal(replica.loopDelay.lastMs, 0);
    bed.clock.advance(350);
    await turns(2);
    assert.equal(replica.loopDelay.lastMs, 250);
    assert.deepEqual([replica.loopDelay.takeMaxMs(), replica.loopDelay.takeMaxMs()], [250, 0]);
  });
});

suite("ReadyLoop, flushing", () => {
  test("flushes after the flush time", async () => {
    const bed = new ReplicaBed();
    await using replica = await bed.open({ limits: { flushMs: 100 } });
    await put(replica, "a");
    await turns(20);
    assert.equal(replica.state.flushedIndex, 0);
    bed.clock.advance(100);
    await turns(5);
    assert.equal(replica.state.flushedIndex, 3);
  });

  test("flushes after the flush bytes, without time passing", async () => {
    await using replica = await new ReplicaBed().open({ limits: { flushBytes: 1000 } });
    await put(replica, "x".repeat(2000));
    await turns(5);
    assert.equal(replica.state.flushedIndex, 3);
  });

  test("refuses proposals with TooManyRequests while the backend is behind the limit of unflushed bytes", async () => {
    const bed = new ReplicaBed();
    const gate = Promise.withResolvers<void>();
    const state = new ListState();
    const flush = state.flush.bind(state);
    state.flush = () => gate.promise.then(flush);
    await using replica = await bed.open({ state, limits: { flushBytes: 100, unflushedBytes: 1000 } });
    await put(replica, "x".repeat(600));
    await put(replica, "y".repeat(600));
    await assert.rejects(put(replica, "z"), { code: "TooManyRequests" });
    gate.resolve();
    await turns(20);
    assert.equal(await put(replica, "z"), "z");
  });

  test("cuts log and WAL below the flushed index, and keeps what is asked for", async () => {
    const bed = new ReplicaBed();
    const limits = { flushBytes: 1000, flushMs: 1e9, keptEntries: 20 };
    const replica = await bed.open({ limits });
    for (let i = 0; i < 60; i += 1) await put(replica, `${i} `.padEnd(900, "x"));
    await turns(20);
    const segments = (await bed.memory.list(FOLDER)).filter((name) => name.endsWith(".wal"));
    const oldest = Number.parseInt(segments[0]?.slice(17, 33) ?? "", 16);
    assert.ok(oldest > 20 && oldest <= replica.state.flushedIndex - 20 + 1, `begins at ${oldest}`);
    const image = replica.state.image;
    bed.memory.crash({ random: seededRandom(2) });
    await using again = await bed.open({ image });
    assert.equal(again.state.values.length, 60);
  });

  test("keeps its log as long as the backend has not flushed", async () => {
    const bed = new ReplicaBed();
    const replica = await bed.open({ limits: { flushMs: 1e9 } });
    for (let i = 0; i < 60; i += 1) await put(replica, `${i} `.padEnd(900, "x"));
    bed.memory.crash({ random: seededRandom(2) });
    await using again = await bed.open({ image: EMPTY_LIST });
    assert.equal(again.state.values.length, 60);
  });
});

suite("ReadyLoop, failing", () => {
  for (const [operation, code] of [
    ["sync", "EIO"],
    ["write", "ENOSPC"],
  ] as const) {
    test(`rejects everything with Stopped after an error of ${operation}, and reports it once`, async () => {
      const bed = new ReplicaBed();
      const replica = await bed.open();
      await put(replica, "kept");
      bed.memory.failNth(operation, 1, code);
      const waiting = [put(replica, "a"), put(replica, "b")];
      await turns(1);
      waiting.push(put(replica, "c"));
      for (const answer of waiting) await assert.rejects(answer, { code: "Stopped" });
      assert.equal(bed.fatal.length, 1);
      assert.match(String(bed.fatal[0]), new RegExp(`Cannot write WAL segment .* ${code}`));
      await assert.rejects(put(replica, "d"), { code: "Stopped" });
      await assert.rejects(read(replica), { code: "Stopped" });
      assert.deepEqual(replica.state.values, ["kept"]);
      await replica.close();
      assert.equal(bed.fatal.length, 1);
    });
  }

  test("reports an error of the backend's flush, and cuts nothing", async () => {
    const bed = new ReplicaBed();
    const replica = await bed.open();
    await put(replica, "a");
    replica.state.flushError = new Error("cannot flush");
    bed.clock.advance(100);
    await turns(10);
    assert.deepEqual(bed.fatal, [replica.state.flushError]);
    await assert.rejects(put(replica, "b"), { code: "Stopped" });
    await replica.close();
  });
});

suite("ReadyLoop, in the middle of an entry of many steps", () => {
  /** A replica that has begun to apply a value in a hundred steps, each of which takes as long as a stretch. */
  async function inTheMiddle(bed: ReplicaBed) {
    const replica = await bed.open();
    replica.state.stepsOf = ({ data }) => (data.byteLength > 0 ? 100 : 1);
    replica.state.onApply = () => bed.clock.advance(10);
    const large = put(replica, "large");
    await turns(20);
    assert.deepEqual(replica.state.values, []);
    return { replica, large };
  }

  test("reads and writes behind it wait for its end", async () => {
    const bed = new ReplicaBed();
    const { replica, large } = await inTheMiddle(bed);
    const behind = put(replica, "behind");
    await read(replica);
    assert.equal(replica.state.values[0], "large");
    assert.deepEqual(await Promise.all([large, behind]), ["large", "behind"]);
    await replica.close();
    assert.deepEqual(replica.state.image.values, ["large", "behind"]);
  });

  test("close() finishes it and flushes it", async () => {
    const bed = new ReplicaBed();
    const { replica, large } = await inTheMiddle(bed);
    await replica.close();
    assert.equal(await large, "large");
    assert.deepEqual(replica.state.image.values, ["large"]);
  });

  test("a failure gives it up", async () => {
    const bed = new ReplicaBed();
    const { replica, large } = await inTheMiddle(bed);
    bed.memory.failNth("sync", 1, "EIO");
    await assert.rejects(put(replica, "b"), { code: "Stopped" });
    await assert.rejects(large, { code: "Stopped" });
    assert.equal(bed.fatal.length, 1);
    await replica.close();
    assert.deepEqual([replica.state.values, replica.state.image.values], [[], []]);
  });
});

test("ReadyLoop.receiveSnapshot() keeps none of a leader that is deposed: two of them would stand in the way of all others", async () => {
  const bed = new ReplicaBed();
  const kept = new Set<number>();
  const replica = await bed.open({
    snapshots: {
      ...NO_SNAPSHOTS,
      receive: async ({ index }) => void kept.add(index),
      forget: async ({ index }) => void kept.delete(index),
    },
  });
  await put(replica, "a");
  const { confState } = replica.state;
  for (const index of [50, 60, 70]) {
    const snapshot = { index, term: 1, confState };
    await replica.receiveSnapshot(
      { kind: "snapshot", from: 0xb1n, to: 0xa1n, term: 1, snapshot },
      Readable.from([]),
    );
  }
  assert.deepEqual([...kept], []);
  assert.equal(replica.status.role, "leader");
  await replica.close();
});

suite("ReadyLoop.close()", () => {
  test("refuses what comes, finishes what was accepted, and flushes", async () => {
    const bed = new ReplicaBed();
    const replica = await bed.open();
    const accepted = [put(replica, "a"), put(replica, "b")];
    const reader = read(replica);
    const closing = replica.close();
    await assert.rejects(put(replica, "c"), { code: "Stopped", message: "etcdserver: server stopped" });
    await assert.rejects(read(replica), { code: "Stopped" });
    assert.deepEqual(await Promise.all(accepted), ["a", "b"]);
    await reader;
    await closing;
    assert.deepEqual(replica.state.image.values, ["a", "b"]);
    assert.equal(replica.close(), closing);
    await using again = await bed.open({ image: replica.state.image });
    assert.deepEqual(again.state.values, ["a", "b"]);
  });

  test("leaves no timer behind", async () => {
    const bed = new ReplicaBed();
    const replica = await bed.open();
    await replica.close();
    const term = replica.status.term;
    bed.clock.advance(10_000);
    await turns(5);
    assert.equal(replica.status.term, term);
  });
});
