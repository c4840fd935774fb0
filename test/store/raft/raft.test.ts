import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import type { Message } from "../../../store/raft/message.ts";
import { Raft } from "../../../store/raft/raft.ts";
import type { RaftLimits, RaftStart, Ready, Write } from "../../../store/raft/types.ts";
import { entriesOf, LIMITS } from "../../support/raft-network.ts";

const confStateOf = (voters: readonly bigint[]) => ({
  voters,
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
});

const NEW: RaftStart = {
  id: 1n,
  confState: confStateOf([1n]),
  hardState: { term: 0, vote: 0n, commit: 0 },
  entries: [],
  compacted: { index: 0, term: 0 },
  applied: 0,
};

const POLICY = { preVote: false, checkQuorum: true, stepDownOnRemoval: true, validateConfChanges: true };

function raft(start: Partial<RaftStart> = {}, limits: Partial<RaftLimits> = {}): Raft {
  return new Raft(
    { ...NEW, ...start },
    {
      limits: { ...LIMITS, ...limits },
      policy: POLICY,
      random: seededRandom(1),
      snapshot: () => undefined,
    },
  );
}

/** One of three, with entries of these terms. */
function follower(terms: readonly number[], start: Partial<RaftStart> = {}): Raft {
  const hardState = { term: terms.at(-1) ?? 0, vote: 0n, commit: 0 };
  return raft({ confState: confStateOf([1n, 2n, 3n]), entries: entriesOf(terms), hardState, ...start });
}

function take(core: Raft): Ready {
  const ready = core.ready();
  assert.ok(ready !== undefined, "there is work");
  return ready;
}

function takeWrite(core: Raft): Ready & { readonly write: Write } {
  const ready = take(core);
  assert.ok(ready.write !== undefined, "there is something to write");
  return { ...ready, write: ready.write };
}

/** As a driver does whose disk has it now. */
function persist(core: Raft, write: Write): void {
  for (const message of write.responses) if (message.to === core.status.id) core.step(message);
  core.persisted(write);
}

/** Does all the work there is, with an instant disk. Returns the indexes applied. */
function settle(core: Raft): number[] {
  const applied: number[] = [];
  for (let ready = core.ready(); ready !== undefined; ready = core.ready()) {
    if (ready.write !== undefined) persist(core, ready.write);
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

/** Appends of leader 2, in `term`, behind what has these terms. */
function append(term: number, terms: readonly number[], count: number, commit = 0): Message {
  const prev = { index: terms.length, term: terms.at(-1) ?? 0 };
  const news = entriesOf([...terms, ...Array.from({ length: count }, () => term)]);
  return {
    kind: "append",
    from: 2n,
    to: 1n,
    term,
    prev,
    entries: news.slice(terms.length),
    commit,
  };
}

const indexes = (list: readonly { readonly index: number }[]) => list.map(({ index }) => index);

suite("Raft: one voter", () => {
  test("ready() has nothing to do before the first tick", () => {
    const core = raft();
    assert.equal(core.ready(), undefined);
    assert.equal(core.status.role, "follower");
    assert.equal(core.propose(Buffer.from("x")), "noLeader");
    assert.equal(core.readIndex(1n), "noLeader");
  });

  test("tick() makes a sole voter campaign at once; its vote counts only when it is on disk", () => {
    const core = raft();
    core.tick();
    const election = takeWrite(core);
    assert.deepEqual(election.write.hardState, { term: 1, vote: 1n, commit: 0 });
    assert.equal(election.write.mustSync, true);
    assert.deepEqual(election.softState, { role: "candidate", leader: 0n, term: 1 });
    assert.equal(core.ready(), undefined);
    assert.equal(core.propose(Buffer.from("x")), "noLeader");

    persist(core, election.write);
    const opening = takeWrite(core);
    assert.deepEqual(opening.softState, { role: "leader", leader: 1n, term: 1 });
    assert.deepEqual(
      opening.write.entries.map(({ index, term, data }) => [index, term, data.byteLength]),
      [[1, 1, 0]],
    );
    assert.deepEqual(opening.committed, []);
    persist(core, opening.write);
    assert.deepEqual(indexes(take(core).committed), [1]);
  });

  test("tick() does not stand again while the own vote is on its way to a slow disk", () => {
    const core = raft();
    core.tick();
    const election = takeWrite(core);
    for (let i = 0; i < 100; i += 1) core.tick();
    assert.equal(core.ready(), undefined);
    persist(core, election.write);
    assert.deepEqual([core.status.role, core.status.term], ["leader", 1]);
  });

  test("ready() may be taken again while a write is outstanding; nothing is committed before its own write", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    const first = takeWrite(core);
    core.propose(Buffer.from("b"));
    const second = takeWrite(core);
    assert.deepEqual(
      [first, second].map(({ write }) => indexes(write.entries)),
      [[2], [3]],
    );
    assert.equal(core.status.commit, 1);
    persist(core, first.write);
    assert.equal(core.status.commit, 2);
    persist(core, second.write);
    assert.equal(core.status.commit, 3);
    assert.deepEqual(settle(core), [2, 3]);
  });

  test("persisted() trips over a write that is not the oldest outstanding one", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    takeWrite(core);
    core.propose(Buffer.from("b"));
    const second = takeWrite(core);
    assert.throws(() => core.persisted(second.write), /oldest outstanding/);
  });

  test("ready() asks for no sync when only the commit moved", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    const { write } = takeWrite(core);
    assert.deepEqual([write.hardState, write.mustSync], [undefined, true]);
    persist(core, write);
    const commit = takeWrite(core);
    assert.deepEqual(
      [commit.write.hardState, commit.write.entries, commit.write.mustSync],
      [{ term: 1, vote: 1n, commit: 2 }, [], false],
    );
    assert.deepEqual(indexes(commit.committed), [2]);
  });

  test("ready() after a restart does not hand out what the backend has applied", () => {
    const core = raft({
      hardState: { term: 2, vote: 1n, commit: 7 },
      entries: entriesOf([1, 1, 1, 1, 2, 2, 2]).slice(5),
      compacted: { index: 5, term: 2 },
      applied: 6,
    });
    assert.deepEqual(indexes(take(core).committed), [7]);
    core.applied(7);
    core.tick();
    assert.deepEqual(settle(core), [8]);
  });

  test("ready() bounds the bytes it hands out for applying, and waits for applied()", () => {
    const core = leader({}, { applyingBytes: 3 });
    for (let i = 0; i < 7; i += 1) core.propose(Buffer.from("x"));
    persist(core, takeWrite(core).write);
    assert.deepEqual(indexes(take(core).committed), [2, 3, 4]);
    assert.equal(core.ready(), undefined);
    core.applied(3);
    assert.deepEqual(indexes(take(core).committed), [5, 6]);
    core.applied(6);
    assert.deepEqual(indexes(take(core).committed), [7, 8]);
  });

  test("compact() forgets what is applied, and the log goes on", () => {
    const core = leader();
    core.propose(Buffer.from("a"));
    settle(core);
    assert.equal(core.compact(2, { entries: 0, bytes: 0 }), 2);
    core.propose(Buffer.from("b"));
    assert.deepEqual(settle(core), [3]);
    assert.deepEqual([core.status.lastIndex, core.status.applied], [3, 3]);
  });

  test("constructor() trips over a last entry whose term is above the own one", () => {
    const hardState = { term: 2, vote: 0n, commit: 0 };
    assert.throws(() => raft({ entries: entriesOf([1, 3]), hardState }), /last entry's term 3 ≤ own 2/);
  });
});

suite("Raft: writes", () => {
  test("ready() gives a vote and an acknowledgement only behind the write that holds them", () => {
    const core = follower([1]);
    core.step({
      kind: "vote",
      from: 3n,
      to: 1n,
      term: 2,
      last: { term: 1, index: 1 },
      isTransfer: false,
    });
    const vote = takeWrite(core);
    assert.deepEqual([vote.messages, vote.write.hardState], [[], { term: 2, vote: 3n, commit: 0 }]);
    assert.deepEqual(
      vote.write.responses.map(({ kind, to }) => [kind, to]),
      [["voteResponse", 3n]],
    );
    core.step(append(3, [1], 2));
    const entries = takeWrite(core);
    assert.deepEqual([entries.messages, indexes(entries.write.entries)], [[], [2, 3]]);
    assert.deepEqual(entries.write.responses, [
      { kind: "appendResponse", from: 1n, to: 2n, term: 3, reject: false, index: 3 },
    ]);
  });

  test("ready() writes a commit with the entries that it covers, never ahead of them", () => {
    const core = follower([1]);
    core.step(append(1, [1], 2, 3));
    const { write, committed } = takeWrite(core);
    assert.deepEqual([write.hardState?.commit, indexes(write.entries)], [3, [2, 3]]);
    assert.deepEqual(indexes(committed), [1], "what is not on this disk is not applied");
    core.persisted(write);
    assert.deepEqual(indexes(take(core).committed), [2, 3]);
  });

  test("ready() asks for a write without anything in it when only an answer has to wait for an earlier one", () => {
    const core = follower([1]);
    core.step(append(1, [1], 1));
    const first = takeWrite(core);
    core.step(append(1, [1], 1));
    const second = takeWrite(core);
    assert.deepEqual(
      [second.write.hardState, second.write.entries, second.write.mustSync, second.write.responses.length],
      [undefined, [], false, 1],
    );
    core.persisted(first.write);
    core.persisted(second.write);
    assert.equal(core.ready(), undefined);
  });

  test("persisted() of entries that were replaced, and came back, does not call them stable (ABA)", () => {
    const core = follower([1]);
    core.step(append(2, [1], 1));
    const first = takeWrite(core);
    // Another leader replaces entry 2, and a third one brings the first version back.
    core.step({ ...append(3, [1], 1), from: 3n });
    const second = takeWrite(core);
    core.step({ ...append(2, [1], 1), term: 4, commit: 2 } as Message);
    const third = takeWrite(core);
    assert.deepEqual(
      [first, second, third].map(({ write }) => write.entries.map(({ term }) => term)),
      [[2], [3], [2]],
    );
    assert.deepEqual(indexes(third.committed), [1]);
    core.persisted(first.write);
    assert.equal(core.ready(), undefined, "entry 2 is on disk, and its replacement on the way");
    core.persisted(second.write);
    assert.equal(core.ready(), undefined);
    core.persisted(third.write);
    assert.deepEqual(indexes(take(core).committed), [2]);
  });

  test("persisted() of a write from before a new term leaves its entries to that term's first write", () => {
    const core = follower([1]);
    core.step(append(2, [1], 2));
    const entries = takeWrite(core);
    core.step({ kind: "heartbeat", from: 3n, to: 1n, term: 3, commit: 3, readPosition: 0 });
    const term = takeWrite(core);
    assert.deepEqual(
      [term.write.hardState, term.write.upTo],
      [
        { term: 3, vote: 0n, commit: 3 },
        { term: 2, index: 3 },
      ],
    );
    assert.deepEqual(indexes(term.committed), [1]);
    core.persisted(entries.write);
    assert.equal(core.ready(), undefined);
    core.persisted(term.write);
    assert.deepEqual(indexes(take(core).committed), [2, 3]);
  });

  test("softState is told when it changed, and only then", () => {
    const core = follower([1]);
    const heartbeat = { kind: "heartbeat", from: 2n, to: 1n, term: 1, commit: 0, readPosition: 0 } as const;
    core.step(heartbeat);
    assert.deepEqual(take(core).softState, { role: "follower", leader: 2n, term: 1 });
    core.step(heartbeat);
    assert.equal(take(core).softState, undefined);
  });
});
