import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { InvariantError } from "../../../base/invariant.ts";
import { runAtOnce } from "../../../base/steps.ts";
import type { EventBatch, WatchOutput } from "../../../store/watch/types.ts";
import { specOf, WatchBed, type Write } from "./watch-bed.ts";

suite("MvccWatchHub.watch()", () => {
  test("without a start revision gives what comes from now on", () => {
    const bed = new WatchBed();
    bed.put("a", "before");
    const received = bed.watch({ key: "a" });
    assert.ok(received.synced);
    assert.equal(bed.hub.catchUpStep(), false);
    bed.put("a", "after");
    bed.put("b", "another key");
    assert.deepEqual(received.texts, ["3 put a=after (2..3 v2)"]);
  });

  test("from a revision of the past reads history first, and goes on without a gap", () => {
    const bed = new WatchBed();
    for (const value of ["2", "3", "4"]) bed.put("a", value);
    const received = bed.watch({ key: "a", startRevision: 3 });
    assert.ok(!received.synced);
    bed.put("a", "5");
    assert.deepEqual(received.texts, []);
    bed.catchUp();
    assert.ok(received.synced);
    bed.put("a", "6");
    assert.deepEqual(revisions(received.outputs), [3, 4, 5, 6]);
  });

  test("from a revision of the future waits for it, and is not synced before", () => {
    const bed = new WatchBed();
    const received = bed.watch({ key: "a", startRevision: 4 });
    bed.put("a", "2");
    bed.put("a", "3");
    assert.ok(!received.synced);
    assert.equal(received.watcher?.tellProgress(), false);
    bed.put("a", "4");
    assert.ok(received.synced);
    assert.deepEqual(revisions(received.outputs), [4]);
  });

  test("from the compacted revision on has everything; below it, is told and ended", () => {
    const bed = new WatchBed();
    bed.put("a", "2");
    bed.write({ delete: "a" });
    bed.put("b", "4");
    bed.compact(3);
    const [at, below] = [3, 2].map((startRevision) =>
      bed.watch({ key: "a", end: "c", startRevision, prevKv: true }),
    );
    bed.catchUp();
    bed.put("a", "5");
    assert.deepEqual(at?.texts, ["3 delete a", "4 put b=4 (4..4 v1)", "5 put a=5 (5..5 v1)"]);
    assert.deepEqual(below?.texts, ["compacted 3"]);
    assert.deepEqual(bed.hub.counts, { synced: 1, unsynced: 0, slow: 0 });
  });

  test("tells compacted again when the outlet had no room for it", () => {
    const bed = new WatchBed();
    for (const value of ["2", "3", "4"]) bed.put("a", value);
    bed.compact(4);
    const received = bed.watch({ key: "a", startRevision: 2 });
    received.room = 0;
    bed.catchUp();
    assert.deepEqual(bed.hub.counts, { synced: 0, unsynced: 0, slow: 1 });
    received.room = 1;
    received.watcher?.resume();
    bed.catchUp();
    assert.deepEqual(received.texts, ["compacted 4"]);
  });
});

suite("MvccWatchHub.notify()", () => {
  test("trips over a revision that was left out or is told twice, watched or not", () => {
    const bed = new WatchBed();
    bed.put("a", "1");
    const left = bed.store.beginWrite();
    left.put(Buffer.from("a"), Buffer.from("2"), 0n);
    const changes = bed.store.endWrite(left);
    assert.throws(() => bed.put("a", "3"), InvariantError);
    assert.throws(() => runAtOnce(bed.hub.notify(changes)), InvariantError);
  });

  test("gives the changes of a revision as one batch, in their order", () => {
    const bed = new WatchBed();
    bed.put("d", "2");
    const received = bed.watch({ key: "a", end: "\0", prevKv: true });
    bed.write({ put: "c", value: "3" }, { put: "a", value: "3" }, { delete: "d" });
    assert.equal(received.outputs.length, 1);
    assert.deepEqual(received.texts, [
      "3 put c=3 (3..3 v1)",
      "3 put a=3 (3..3 v1)",
      "3 delete d was d=2 (2..2 v1)",
    ]);
  });

  test("shares marshalled events between watchers, also of different ranges", () => {
    const bed = new WatchBed();
    bed.put("a", "2");
    const specs = [{ key: "a" }, { key: "a" }, { key: "a", end: "b" }, { key: "a", prevKv: true }];
    const [one, same, range, previous] = specs.map((spec) => bed.watch(spec));
    bed.put("a", "3");
    const [output] = one?.outputs ?? [];
    assert.equal(same?.outputs[0], output);
    const event = batchesOf(output)[0]?.events[0];
    assert.ok(event !== undefined);
    assert.equal(batchesOf(range?.outputs[0])[0]?.events[0], event);
    assert.notEqual(batchesOf(previous?.outputs[0])[0]?.events[0], event);
  });

  test("offers nothing to a watcher whose filters leave nothing", () => {
    const bed = new WatchBed();
    const received = bed.watch({ key: "a", noPut: true });
    const other = bed.watch({ key: "a", noDelete: true });
    bed.put("a", "2");
    bed.write({ delete: "a" });
    assert.deepEqual(received.texts, ["3 delete a"]);
    assert.deepEqual(other.texts, ["2 put a=2 (2..2 v1)"]);
  });

  test("sets a watcher with a full outlet aside, and no other; it catches up after resume()", () => {
    const bed = new WatchBed();
    const [slow, other] = [bed.watch({ key: "a" }), bed.watch({ key: "a" })];
    slow.room = 1;
    for (const value of ["2", "3", "4"]) bed.put("a", value);
    assert.deepEqual(bed.hub.counts, { synced: 1, unsynced: 0, slow: 1 });
    assert.equal(slow.refusals, 1, "a slow watcher is left alone");
    assert.ok(!slow.synced);
    bed.catchUp();
    assert.deepEqual(revisions(slow.outputs), [2]);
    slow.room = 1;
    slow.watcher?.resume();
    bed.catchUp();
    bed.put("a", "5");
    assert.deepEqual(bed.hub.counts, { synced: 1, unsynced: 0, slow: 1 });
    slow.room = 1;
    slow.watcher?.resume();
    bed.catchUp();
    assert.ok(slow.synced);
    assert.deepEqual(revisions(slow.outputs), [2, 3, 4, 5]);
    assert.deepEqual(revisions(other.outputs), [2, 3, 4, 5]);
  });

  test("does not keep for a slow watcher what is compacted meanwhile", () => {
    const bed = new WatchBed();
    const received = bed.watch({ key: "a" });
    received.room = 0;
    for (const value of ["2", "3", "4"]) bed.put("a", value);
    bed.compact(4);
    received.room = 1;
    received.watcher?.resume();
    bed.catchUp();
    assert.deepEqual(received.texts, ["compacted 4"]);
  });

  test("lets an outlet begin and end watchers", () => {
    const bed = new WatchBed();
    const first = bed.watch({ key: "a" });
    const second = bed.watch({ key: "a" });
    const begun: ReturnType<WatchBed["watch"]>[] = [];
    first.onOutput = () => {
      second.watcher?.cancel();
      begun.push(bed.watch({ key: "a" }));
    };
    bed.put("a", "2");
    assert.deepEqual(second.outputs, []);
    assert.deepEqual(begun[0]?.outputs, []);
    bed.put("a", "3");
    assert.deepEqual(revisions(first.outputs), [2, 3]);
    assert.deepEqual(revisions(begun[0]?.outputs ?? []), [3]);
  });
});

suite("MvccWatchHub.catchUpStep()", () => {
  test("reads a bounded part of history, and whole revisions", () => {
    const bed = new WatchBed();
    for (let i = 0; i < 499; i += 1) bed.put("a", `${i}`);
    const many: Write[] = Array.from({ length: 800 }, (_, i) => ({ put: `b${i}`, value: "" }));
    bed.write(...many);
    for (let i = 0; i < 700; i += 1) bed.put("a", `${i}`);
    const received = bed.watch({ key: "a", end: "\0", startRevision: 1 });
    bed.catchUp();
    const sizes = received.outputs.map((output) => batchesOf(output).flatMap(({ events }) => events).length);
    assert.deepEqual(sizes, [499 + 800, 500, 200]);
    const expected = Array.from({ length: 1200 }, (_, i) => i + 2);
    assert.deepEqual(revisions(received.outputs), expected);
    assert.equal(batchesOf(received.outputs[0]).at(-1)?.events.length, 800);
  });

  test("reads few records when they are large", () => {
    const bed = new WatchBed();
    const value = "v".repeat(600 * 1024);
    for (let i = 0; i < 6; i += 1) bed.put("a", value);
    const received = bed.watch({ key: "a", startRevision: 2 });
    bed.catchUp();
    assert.deepEqual(
      received.outputs.map(batchesOf).map(({ length }) => length),
      [2, 2, 2],
    );
  });

  test("passes over history that concerns nobody", () => {
    const bed = new WatchBed();
    for (let i = 0; i < 1200; i += 1) bed.put("a", `${i}`);
    const received = bed.watch({ key: "b", startRevision: 2 });
    bed.catchUp();
    assert.ok(received.synced);
    bed.put("b", "now");
    assert.deepEqual(received.texts, ["1202 put b=now (1202..1202 v1)"]);
  });

  test("gives a watcher that is near its turn while another is far", () => {
    const bed = new WatchBed();
    for (let i = 0; i < 3000; i += 1) bed.put("a", `${i}`);
    const far = bed.watch({ key: "a", startRevision: 2 });
    const near = bed.watch({ key: "a", startRevision: 2990 });
    while (!near.synced) assert.ok(bed.hub.catchUpStep());
    assert.ok(!far.synced);
    bed.catchUp();
    assert.equal(revisions(far.outputs).length, 3000);
  });

  test("reads a part of history once for all watchers on it", () => {
    const bed = new WatchBed();
    for (let i = 0; i < 400; i += 1) bed.put("a", `${i}`);
    const all = Array.from({ length: 100 }, (_, i) => bed.watch({ key: "a", startRevision: 2 + i }));
    assert.equal(bed.hub.catchUpStep(), false);
    for (const [i, received] of all.entries()) {
      assert.equal(revisions(received.outputs).length, 400 - i);
      assert.ok(received.synced);
    }
  });

  test("moves a bounded number of watchers at a time", () => {
    const bed = new WatchBed();
    bed.put("a", "2");
    const all = Array.from({ length: 600 }, () => bed.watch({ key: "a", startRevision: 2 }));
    const given = () => all.filter(({ outputs }) => outputs.length > 0).length;
    assert.equal(bed.hub.catchUpStep(), true);
    assert.ok(given() > 0 && given() < 600, `${given()} of 600`);
    bed.catchUp();
    assert.equal(given(), 600);
    assert.deepEqual(bed.hub.counts, { synced: 600, unsynced: 0, slow: 0 });
  });

  test("goes on where it was after a refusal half way", () => {
    const bed = new WatchBed();
    for (let i = 0; i < 1200; i += 1) bed.put("a", `${i}`);
    const received = bed.watch({ key: "a", startRevision: 2 });
    received.room = 1;
    bed.catchUp();
    assert.deepEqual(bed.hub.counts, { synced: 0, unsynced: 0, slow: 1 });
    received.room = 5;
    received.watcher?.resume();
    bed.catchUp();
    assert.deepEqual(
      revisions(received.outputs),
      Array.from({ length: 1200 }, (_, i) => i + 2),
    );
  });

  test("lets an outlet end watchers", () => {
    const bed = new WatchBed();
    bed.put("a", "2");
    const first = bed.watch({ key: "a", startRevision: 2 });
    const second = bed.watch({ key: "a", startRevision: 2 });
    first.onOutput = () => {
      first.watcher?.cancel();
      second.watcher?.cancel();
    };
    bed.catchUp();
    assert.deepEqual(revisions(first.outputs), [2]);
    assert.deepEqual(second.outputs, []);
    assert.deepEqual(bed.hub.counts, { synced: 0, unsynced: 0, slow: 0 });
  });
});

suite("Watcher", () => {
  test("tellProgress() gives the store's revision to a synced watcher with room, and does not set it aside", () => {
    const bed = new WatchBed();
    bed.put("b", "2");
    const received = bed.watch({ key: "a" });
    assert.equal(received.watcher?.tellProgress(), true);
    received.room = 0;
    assert.equal(received.watcher?.tellProgress(), false);
    assert.ok(received.synced);
    const behind = bed.watch({ key: "a", startRevision: 1 });
    assert.equal(behind.watcher?.tellProgress(), false);
    assert.deepEqual(received.texts, ["progress 2"]);
  });

  test("cancel() ends it in each group, and again does nothing", () => {
    const bed = new WatchBed();
    bed.put("a", "2");
    const all = [{ key: "a" }, { key: "a", startRevision: 2 }, { key: "a" }].map((spec) => bed.watch(spec));
    const slow = all[2];
    if (slow !== undefined) slow.room = 0;
    bed.put("a", "3");
    assert.deepEqual(bed.hub.counts, { synced: 1, unsynced: 1, slow: 1 });
    for (const { watcher } of [...all, ...all]) watcher?.cancel();
    assert.deepEqual(bed.hub.counts, { synced: 0, unsynced: 0, slow: 0 });
    if (slow !== undefined) slow.room = 9;
    slow?.watcher?.resume();
    assert.equal(bed.hub.catchUpStep(), false);
    bed.put("a", "4");
    assert.deepEqual(
      all.map(({ outputs }) => outputs.length),
      [1, 0, 0],
    );
    assert.ok(all.every(({ synced, watcher }) => !synced && watcher?.tellProgress() === false));
  });

  test("resume() of a watcher that is not slow does nothing", () => {
    const bed = new WatchBed();
    const received = bed.watch({ key: "a" });
    received.watcher?.resume();
    assert.equal(bed.hub.catchUpStep(), false);
    bed.put("a", "2");
    assert.deepEqual(revisions(received.outputs), [2]);
  });

  test("tells keys bytewise: a range to the end has the bytes that are no text", () => {
    const bed = new WatchBed();
    const received = { one: bed.watch({ key: "\xff" }), all: bed.watch({ key: "\x80", end: "\0" }) };
    for (const key of ["\x7f", "\x80\0", "\xff", "\xff\xff"]) bed.put(key, "");
    assert.deepEqual(revisions(received.one.outputs), [4]);
    assert.deepEqual(revisions(received.all.outputs), [3, 4, 5]);
    assert.equal(specOf({ key: "\xff" }).key.length, 1);
  });
});

function batchesOf(output: WatchOutput | undefined): readonly EventBatch[] {
  return output?.kind === "events" ? output.batches : [];
}

function revisions(outputs: readonly WatchOutput[]): readonly number[] {
  return outputs.flatMap(batchesOf).map(({ revision }) => revision);
}
