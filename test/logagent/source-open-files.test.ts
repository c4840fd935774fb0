import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  ASKED_AGAIN_MS,
  EXHAUSTED_MS,
  type HeldFile,
  type HoldState,
  LEAVING_AT_ONCE_MAX,
  OpenFiles,
  ROOM_INTERVAL_MS,
  TURN_MS,
  whoGives,
} from "../../logagent/source/open-files.ts";

class Held implements HeldFile {
  readonly key: string;
  hold: HoldState;
  givesWaySinceMs: number | undefined;

  constructor(key: string, hold: HoldState) {
    this.key = key;
    this.hold = hold;
  }
}

const names = (files: readonly HeldFile[]) => files.map(({ key }) => key);

/** Opens files that nobody has to wait for. */
function holdAll(openFiles: OpenFiles, files: readonly Held[]): void {
  for (const file of files) {
    assert.ok(openFiles.mayOpen(file.key, 0), file.key);
    openFiles.add(file);
  }
}

const leaving = (files: readonly Held[]) => names(files.filter((file) => file.givesWaySinceMs !== undefined));

suite("whoGives()", () => {
  const nowMs = 100_000;
  const files = [
    new Held("busy long", { kind: "busy", sinceMs: nowMs - 3 * TURN_MS }),
    new Held("busy longest", { kind: "busy", sinceMs: nowMs - 4 * TURN_MS }),
    new Held("busy new", { kind: "busy", sinceMs: nowMs - TURN_MS + 1 }),
    new Held("lingering", { kind: "lingering", sinceMs: 0 }),
    new Held("idle short", { kind: "idle", sinceMs: nowMs - 10 }),
    new Held("deleted and unread", { kind: "bound" }),
    new Held("idle long", { kind: "idle", sinceMs: nowMs - 60_000 }),
  ];

  test("takes the idle first, longest first, then what lingers, then what has had its turn", () => {
    const order = ["idle long", "idle short", "lingering", "busy longest", "busy long"];
    for (let count = 0; count <= order.length; count += 1) {
      assert.deepEqual(names(whoGives(files, { count, nowMs })), order.slice(0, count));
    }
  });

  test("never takes one that alone keeps bytes, nor one whose turn goes on, whoever waits", () => {
    const taken = names(whoGives(files, { count: 100, nowMs }));
    assert.ok(!taken.includes("deleted and unread"), `${taken}`);
    assert.ok(!taken.includes("busy new"), `${taken}`);
  });
});

suite("OpenFiles", () => {
  test("lets files be opened up to the limit, and the others wait in the order in which they asked", () => {
    const openFiles = new OpenFiles(2);
    const [a, b] = [new Held("a", { kind: "idle", sinceMs: 5 }), new Held("b", { kind: "idle", sinceMs: 0 })];
    holdAll(openFiles, [a, b]);
    assert.equal(openFiles.hasRoomFor(1), false);
    for (const key of ["c", "d", "e"]) assert.equal(openFiles.mayOpen(key, 0), false);
    openFiles.makeRoom(0);
    assert.deepEqual(leaving([a, b]), ["a", "b"]);
    openFiles.delete(b);
    // Whoever asks first: what is free is kept for the one that has waited longest.
    assert.equal(openFiles.mayOpen("x", 10), false);
    assert.equal(openFiles.mayOpen("d", 10), false);
    assert.equal(openFiles.mayOpen("c", 10), true);
    openFiles.add(new Held("c", { kind: "busy", sinceMs: 10 }));
    openFiles.delete(a);
    assert.deepEqual(
      ["x", "e", "d"].map((key) => openFiles.mayOpen(key, 20)),
      [false, false, true],
    );
  });

  test("passes over one that does not ask any more, which keeps its place", () => {
    const openFiles = new OpenFiles(1);
    const a = new Held("a", { kind: "idle", sinceMs: 0 });
    holdAll(openFiles, [a]);
    assert.equal(openFiles.mayOpen("silent", 0), false);
    assert.equal(openFiles.mayOpen("b", 1), false);
    const laterMs = ASKED_AGAIN_MS + 1;
    openFiles.delete(a);
    assert.equal(openFiles.mayOpen("b", laterMs), true);
    const b = new Held("b", { kind: "busy", sinceMs: laterMs });
    openFiles.add(b);
    assert.equal(openFiles.mayOpen("c", laterMs), false);
    assert.equal(openFiles.mayOpen("silent", laterMs), false);
    openFiles.delete(b);
    assert.equal(openFiles.mayOpen("c", laterMs), false);
    assert.equal(openFiles.mayOpen("silent", laterMs), true);
  });

  test("takes back what it kept for one that does not come for it", () => {
    const openFiles = new OpenFiles(1);
    const a = new Held("a", { kind: "idle", sinceMs: 0 });
    holdAll(openFiles, [a]);
    for (const key of ["gone", "b"]) assert.equal(openFiles.mayOpen(key, 0), false);
    openFiles.delete(a);
    // The one descriptor is the other's now.
    assert.equal(openFiles.mayOpen("b", 1), false);
    const laterMs = ASKED_AGAIN_MS + 2;
    openFiles.makeRoom(laterMs);
    assert.equal(openFiles.mayOpen("b", laterMs), true);
  });

  test("forgets one that is withdrawn, with what was kept for it", () => {
    const openFiles = new OpenFiles(1);
    assert.equal(openFiles.mayOpen("a", 0), true);
    assert.equal(openFiles.mayOpen("b", 0), false);
    openFiles.withdraw("a");
    assert.equal(openFiles.mayOpen("b", 0), true);
  });

  test("tells as many to give way as wait, once, and no more at one time than its limit", () => {
    const files = Array.from(
      { length: 2 * LEAVING_AT_ONCE_MAX },
      (_, i) => new Held(`f${i}`, { kind: "idle", sinceMs: i }),
    );
    const openFiles = new OpenFiles(files.length);
    holdAll(openFiles, files);
    for (let i = 0; i < 3; i += 1) openFiles.mayOpen(`w${i}`, 0);
    openFiles.makeRoom(0);
    assert.deepEqual(leaving(files), ["f0", "f1", "f2"]);
    openFiles.makeRoom(ROOM_INTERVAL_MS);
    assert.deepEqual(leaving(files), ["f0", "f1", "f2"]);
    for (let i = 3; i < 3 * LEAVING_AT_ONCE_MAX; i += 1) openFiles.mayOpen(`w${i}`, ROOM_INTERVAL_MS);
    openFiles.makeRoom(2 * ROOM_INTERVAL_MS);
    assert.equal(leaving(files).length, 3 + LEAVING_AT_ONCE_MAX);
  });

  test("tells others when the first do not come to it", () => {
    const stuck = new Held("stuck", { kind: "busy", sinceMs: 0 });
    const other = new Held("other", { kind: "busy", sinceMs: 1 });
    const openFiles = new OpenFiles(2);
    holdAll(openFiles, [stuck, other]);
    openFiles.mayOpen("w", TURN_MS + 1);
    openFiles.makeRoom(TURN_MS + 1);
    assert.deepEqual(leaving([stuck, other]), ["stuck"]);
    openFiles.makeRoom(2 * TURN_MS - ROOM_INTERVAL_MS);
    assert.deepEqual(leaving([stuck, other]), ["stuck"]);
    openFiles.makeRoom(2 * TURN_MS + 1);
    assert.deepEqual(leaving([stuck, other]), ["stuck", "other"]);
  });

  test("leaves everything open while nobody waits", () => {
    const a = new Held("a", { kind: "idle", sinceMs: 0 });
    const openFiles = new OpenFiles(1);
    holdAll(openFiles, [a]);
    openFiles.makeRoom(1_000_000);
    assert.deepEqual(leaving([a]), []);
  });

  test("when the kernel has no descriptor left, holds a tenth less, and goes back to its limit later", () => {
    const files = Array.from({ length: 20 }, (_, i) => new Held(`f${i}`, { kind: "idle", sinceMs: i }));
    const openFiles = new OpenFiles(100);
    holdAll(openFiles, files);
    openFiles.exhausted(1_000);
    // The same trouble, told by another file.
    openFiles.exhausted(1_001);
    assert.equal(openFiles.limit, 18);
    assert.equal(openFiles.mayOpen("w", 1_001), false);
    openFiles.makeRoom(1_001);
    assert.deepEqual(leaving(files), ["f0", "f1", "f2"]);
    openFiles.makeRoom(1_000 + EXHAUSTED_MS);
    assert.equal(openFiles.limit, 100);
    assert.equal(openFiles.mayOpen("w", 1_000 + EXHAUSTED_MS), true);
  });
});
