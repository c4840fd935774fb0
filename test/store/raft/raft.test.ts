import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CodedError } from "../../../base/errors.ts";
import { seededRandom } from "../../../base/random.ts";
import { Raft } from "../../../store/raft/raft.ts";
import type { Entry, EntryId, RaftLimits, RaftStart, Ready } from "../../../store/raft/types.ts";

const LIMITS: RaftLimits = {
  electionTicks: 10,
  uncommittedBytes: 100,
  writeBytes: 1000,
  committedEntries: 3,
  committedBytes: 1000,
  pendingReads: 2,
};

const NEW: RaftStart = {
  id: 1n,
  voters: [1n],
  hardState: { term: 0, vote: 0n, commit: 0 },
  entries: [],
  compacted: { index: 0, term: 0 },
  applied: 0,
};

function raft(start: Partial<RaftStart> = {}, limits: Partial<RaftLimits> = {}): Raft {
  return new Raft({ ...NEW, ...start }, { limits: { ...LIMITS, ...limits }, random: seededRandom(1) });
}

function entry(index: number, term: number): Entry {
  return { index, term, kind: "normal", data: Buffer.from(`e${index}`) };
}

function take(core: Raft): Ready {
  const ready = core.ready();
  assert.ok(ready !== undefined, "there is work");
  return ready;
}

function takeWrite(core: Raft): Ready & { readonly write: EntryId } {
  const ready = take(core);
  assert.ok(ready.write !== undefined, "there is something to write");
  return { ...ready, write: ready.write };
}

/** Does all the work there is, as a driver with an instant disk. Returns the indexes applied. */
function settle(core: Raft): number[] {
  const applied: number[] = [];
  for (let ready = core.ready(); ready !== undefined; ready = core.ready()) {
    if (ready.write !== undefined) core.persisted(ready.write);
    for (const { index } of ready.committed) {
      applied.push(index);
      core.applied(index);
    }
  }
  return applied;
}

function leader(start: Partial<RaftStart> = {}, limits: Partial<RaftLimits> = {}): Raft {
  const core = raft(start, limits);
  core.tick();
  settle(core);
  assert.equal(core.status.role, "leader");
  return core;
}

suite("Raft with one voter", () => {
  test("constructor() refuses more than one voter, with both values", () => {
    assert.throws(
      () => raft({ voters: [1n, 2n] }),
      (error) =>
        error instanceof CodedError &&
        error.code === "EVOTERS" &&
        /member 1 with voters \[1, 2\]: this build serves one voter/.test(error.message),
    );
    assert.throws(() => raft({ voters: [2n] }), { code: "EVOTERS" });
  });

  test("ready() has nothing to do before the first tick", () => {
    const core = raft();
    assert.equal(core.ready(), undefined);
    assert.equal(core.status.role, "follower");
    assert.equal(core.propose(Buffer.from("x")), "notLeader");
    assert.equal(core.readIndex(1), false);
  });

  test("tick() makes a sole voter campaign at once; its vote counts only when it is on disk", () => {
    const core = raft();
    core.tick();
    const election = takeWrite(core);
    assert.deepEqual(election.hardState, { term: 1, vote: 1n, commit: 0 });
    assert.deepEqual(election.softState, { role: "candidate", leader: 0n, term: 1 });
    assert.equal(core.ready(), undefined);
    assert.equal(core.propose(Buffer.from("x")), "notLeader");

    core.persisted(election.write);
    const opening = takeWrite(core);
    assert.deepEqual(opening.softState, { role: "leader", leader: 1n, term: 1 });
    assert.deepEqual(
      opening.entries.map(({ index, term, data }) => [index, term, data.byteLength]),
      [[1, 1, 0]],
    );
    assert.deepEqual(opening.committed, []);
    core.persisted(opening.write);
    assert.deepEqual(
      take(core).committed.map(({ index }) => index),
      [1],
    );
  });

  test("tick() campaigns again after an election timeout of n to 2n ticks when the disk does not answer", () => {
    const core = raft();
    core.tick();
    const first = takeWrite(core);
    let ticks = 0;
    while (core.status.term === 1) {
      core.tick();
      ticks += 1;
    }
    assert.ok(ticks >= LIMITS.electionTicks && ticks < 2 * LIMITS.electionTicks, `${ticks} ticks`);
    const second = takeWrite(core);
    assert.deepEqual(second.hardState, { term: 2, vote: 1n, commit: 0 });
    core.persisted(first.write);
    assert.equal(core.status.role, "candidate", "a vote of an earlier term does not count");
    core.persisted(second.write);
    assert.equal(core.status.role, "leader");
  });

  test("tick() draws the same timeouts from the same seed", () => {
    const terms = () => {
      const core = raft();
      return Array.from({ length: 100 }, () => {
        core.tick();
        core.ready();
        return core.status.term;
      });
    };
    assert.deepEqual(terms(), terms());
  });

  test("ready() may be taken again while a write is outstanding; nothing is committed before its own write", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    const first = takeWrite(core);
    core.propose(Buffer.from("b"));
    const second = takeWrite(core);
    assert.deepEqual(
      [first.entries, second.entries].map((list) => list.map(({ index }) => index)),
      [[2], [3]],
    );
    assert.equal(core.status.commit, 1);
    core.persisted(first.write);
    assert.equal(core.status.commit, 2);
    core.persisted(second.write);
    assert.equal(core.status.commit, 3);
  });

  test("persisted() trips over a write that is not the oldest outstanding one", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    takeWrite(core);
    core.propose(Buffer.from("b"));
    const second = takeWrite(core);
    assert.throws(() => core.persisted(second.write), /oldest outstanding/);
  });

  test("ready() writes a hard state with entries when the commit moved, and never for a commit alone", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    const write = takeWrite(core);
    assert.deepEqual(write.hardState, { term: 1, vote: 1n, commit: 1 });
    core.persisted(write.write);
    const commit = take(core);
    assert.deepEqual([commit.write, commit.hardState, commit.committed.length], [undefined, undefined, 1]);
  });

  test("a new term commits entries of earlier ones only by way of its own (Raft §5.4.2)", () => {
    const core = raft({
      hardState: { term: 4, vote: 1n, commit: 1 },
      entries: [entry(1, 3), entry(2, 3), entry(3, 4)],
    });
    core.tick();
    const election = takeWrite(core);
    assert.deepEqual(
      election.committed.map(({ index }) => index),
      [1],
    );
    core.applied(1);
    core.persisted(election.write);
    assert.equal(core.status.commit, 1);
    const opening = takeWrite(core);
    assert.deepEqual(
      opening.entries.map(({ index, term }) => [index, term]),
      [[4, 5]],
    );
    core.persisted(opening.write);
    assert.equal(core.status.commit, 4);
    assert.deepEqual(settle(core), [2, 3, 4]);
  });

  test("ready() after a restart does not hand out what the backend has applied", () => {
    const core = raft({
      hardState: { term: 2, vote: 1n, commit: 3 },
      entries: [entry(6, 2), entry(7, 2)],
      compacted: { index: 5, term: 2 },
      applied: 5,
    });
    assert.equal(core.ready(), undefined);
    core.tick();
    assert.deepEqual(settle(core), [6, 7, 8]);
  });

  test("ready() bounds what it hands out for applying, and waits for applied()", () => {
    const core = leader();
    for (let i = 0; i < 7; i += 1) core.propose(Buffer.from("x"));
    core.persisted(takeWrite(core).write);
    assert.deepEqual(
      take(core).committed.map(({ index }) => index),
      [2, 3, 4],
    );
    assert.equal(core.ready(), undefined);
    core.applied(3);
    assert.equal(core.ready(), undefined);
    core.applied(4);
    assert.deepEqual(
      take(core).committed.map(({ index }) => index),
      [5, 6, 7],
    );
  });

  test("ready() bounds the bytes of one write", () => {
    const core = leader({}, { writeBytes: 10 });
    for (let i = 0; i < 3; i += 1) core.propose(Buffer.alloc(6));
    const sizes = [takeWrite(core), takeWrite(core), takeWrite(core)].map(({ entries }) => entries.length);
    assert.deepEqual(sizes, [1, 1, 1]);
  });

  test("propose() refuses above the uncommitted bytes until some are committed; a large one passes alone", () => {
    const core = leader();
    assert.equal(core.propose(Buffer.alloc(500)), "accepted");
    assert.equal(core.propose(Buffer.alloc(1)), "tooManyUncommitted");
    settle(core);
    assert.equal(core.propose(Buffer.alloc(60)), "accepted");
    assert.equal(core.propose(Buffer.alloc(40)), "accepted");
    assert.equal(core.propose(Buffer.alloc(1)), "tooManyUncommitted");
    settle(core);
    assert.equal(core.propose(Buffer.alloc(100)), "accepted");
  });

  test("readIndex() waits for an entry of the term, and then answers with the commit index", () => {
    const core = raft({ hardState: { term: 1, vote: 1n, commit: 0 }, entries: [entry(1, 1)] });
    core.tick();
    core.persisted(takeWrite(core).write);
    assert.equal(core.readIndex(5), true);
    const opening = takeWrite(core);
    assert.deepEqual(opening.readStates, []);
    core.persisted(opening.write);
    assert.deepEqual(take(core).readStates, [{ index: 2, context: 5 }]);
    assert.equal(core.readIndex(6), true);
    assert.deepEqual(take(core).readStates, [{ index: 2, context: 6 }]);
  });

  test("readIndex() refuses above the limit of waiting reads", () => {
    const core = raft();
    core.tick();
    core.persisted(takeWrite(core).write);
    assert.deepEqual([core.readIndex(1), core.readIndex(2), core.readIndex(3)], [true, true, false]);
  });

  test("compact() forgets what is applied, and the log goes on", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    settle(core);
    core.compact(2);
    core.propose(Buffer.from("b"));
    assert.deepEqual(settle(core), [3]);
    assert.deepEqual([core.status.lastIndex, core.status.applied], [3, 3]);
  });
});
