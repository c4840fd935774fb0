import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ProgressView } from "../../../store/raft/progress.ts";
import type { ConfState, RaftCore, RaftStatus, Role } from "../../../store/raft/types.ts";
import { Leadership } from "../../../store/replica/leadership.ts";
import { SettlingClock } from "../../support/settling-clock.ts";

const TICK_MS = 100;
const ELECTION_TICKS = 10;
const ELECTION_MS = TICK_MS * ELECTION_TICKS;
const { signal } = new AbortController();

interface Follower {
  readonly match: number;
  readonly isLearner?: boolean;
  readonly isActive?: boolean;
}

/** A core that says what the test wants, and notes what it is asked. */
class Bed {
  readonly clock = new SettlingClock();
  readonly transfers: bigint[] = [];
  campaigns = 0;
  role: Role = "leader";
  leader = 1n;
  transferee = 0n;
  voters: bigint[] = [1n, 2n, 3n];
  votersOutgoing: bigint[] = [];
  followers: Record<string, Follower> = {};
  /** Those to whom there is no connection. */
  readonly away = new Set<bigint>();
  onTransfer: (to: bigint) => void = () => undefined;
  readonly leadership: Leadership;

  constructor() {
    this.leadership = new Leadership({
      core: this.#core(),
      transport: { isActive: (id) => !this.away.has(id) },
      clock: this.clock,
      limits: { tickMs: TICK_MS, electionTicks: ELECTION_TICKS },
    });
  }

  /** This member learns who leads. */
  learns(leader: bigint): void {
    this.leader = leader;
    this.leadership.changed({ role: leader === 1n ? "leader" : "follower", leader, term: 1 });
  }

  /** After this long, with all that wakes meanwhile. */
  after(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  #core(): RaftCore {
    const bed = this;
    const core: Pick<RaftCore, "status" | "confState" | "progress" | "transferLeader" | "campaign"> = {
      get status(): RaftStatus {
        const { role, leader, transferee } = bed;
        const rest = { term: 1, vote: 0n, commit: 9, applied: 9, lastIndex: 9, isLearner: false };
        return { id: 1n, role, leader, transferee, ...rest };
      },
      get confState(): ConfState {
        const { voters, votersOutgoing } = bed;
        return { voters, votersOutgoing, learners: [], learnersNext: [], autoLeave: false };
      },
      progress: () => new Map(Object.entries(bed.followers).map(([id, one]) => [BigInt(id), view(one)])),
      transferLeader: (to) => {
        bed.transfers.push(to);
        bed.onTransfer(to);
      },
      campaign: () => {
        bed.campaigns += 1;
      },
    };
    return core as RaftCore;
  }
}

function view({ match, isLearner = false, isActive = true }: Follower): ProgressView {
  return { match, isLearner, recentActive: isActive } as ProgressView;
}

suite("Leadership.timeoutSince()", () => {
  test("puts down to the failed leader what came up to two election timeouts before the next one", async () => {
    const bed = new Bed();
    bed.learns(2n);
    await bed.after(10_000);
    bed.learns(0n);
    await bed.after(500);
    bed.learns(3n);
    const electedMs = 10_500;
    const codes = [-2 * ELECTION_MS, -2 * ELECTION_MS + 1, -1, 0, 1].map(
      (ms) => bed.leadership.timeoutSince(electedMs + ms).code,
    );
    assert.deepEqual(codes, ["Timeout", "TimeoutLeaderFail", "TimeoutLeaderFail", "Timeout", "Timeout"]);
    assert.equal(
      bed.leadership.timeoutSince(electedMs - 1).message,
      "etcdserver: request timed out, possibly due to previous leader failure",
    );
  });

  test("knows of no failure before there was a leader, nor while there is none", async () => {
    const bed = new Bed();
    await bed.after(5000);
    assert.equal(bed.leadership.timeoutSince(4000).code, "Timeout");
    bed.learns(0n);
    assert.equal(bed.leadership.timeoutSince(4000).code, "Timeout");
  });

  test("does not take news of the same leader for another one", async () => {
    const bed = new Bed();
    bed.learns(2n);
    await bed.after(10_000);
    bed.learns(2n);
    assert.equal(bed.leadership.timeoutSince(9_900).code, "Timeout");
    bed.learns(0n);
    bed.learns(2n);
    assert.equal(bed.leadership.timeoutSince(9_900).code, "TimeoutLeaderFail", "it was lost in between");
  });
});

suite("Leadership.reached()", () => {
  test("resolves when the member leads, whoever did in between", async () => {
    const bed = new Bed();
    let isReached = false;
    const reached = bed.leadership.reached(3n, { signal }).then(() => {
      isReached = true;
    });
    bed.leader = 2n;
    await bed.after(300);
    assert.equal(isReached, false);
    bed.leader = 3n;
    await bed.after(TICK_MS);
    assert.equal(isReached, true);
    await reached;
    await bed.leadership.reached(3n, { signal });
  });

  test("rejects with TimeoutLeaderTransfer after an election timeout", async () => {
    const bed = new Bed();
    const reached = bed.leadership.reached(3n, { signal });
    let isOver = false;
    const rejected = assert.rejects(reached, { code: "TimeoutLeaderTransfer" }).then(() => {
      isOver = true;
    });
    await bed.after(ELECTION_MS - 1);
    assert.equal(isOver, false);
    await bed.after(1);
    await rejected;
  });

  test("rejects with the signal's reason", async () => {
    const bed = new Bed();
    const controller = new AbortController();
    const reason = new Error("gone");
    const rejected = assert.rejects(bed.leadership.reached(3n, { signal: controller.signal }), reason);
    controller.abort(reason);
    await rejected;
  });
});

suite("Leadership.handOver()", () => {
  test("picks the voter with the longest log, of those that are heard of, and waits for it", async () => {
    const bed = new Bed();
    bed.followers = {
      1: { match: 9 },
      2: { match: 5 },
      3: { match: 8 },
      4: { match: 9, isLearner: true },
      5: { match: 9, isActive: false },
    };
    let isOver = false;
    const over = bed.leadership.handOver().then(() => {
      isOver = true;
    });
    assert.deepEqual(bed.transfers, [3n]);
    await bed.after(TICK_MS);
    assert.equal(isOver, false);
    bed.leader = 3n;
    await bed.after(TICK_MS);
    await over;
  });

  test("gives up after an election timeout, without an error", async () => {
    const bed = new Bed();
    bed.followers = { 2: { match: 5 } };
    const over = bed.leadership.handOver();
    await bed.after(ELECTION_MS);
    await over;
    assert.deepEqual(bed.transfers, [2n]);
  });

  test("does nothing where nobody can take over, and at a follower", async () => {
    const bed = new Bed();
    bed.followers = { 1: { match: 9 }, 2: { match: 9, isActive: false }, 3: { match: 9, isLearner: true } };
    await bed.leadership.handOver();
    bed.followers = { 2: { match: 9 } };
    bed.role = "follower";
    await bed.leadership.handOver();
    assert.deepEqual(bed.transfers, []);
  });
});

suite("Leadership.tick()", () => {
  test("lets somebody else lead when this leader is no voter any more, asking one at a time", () => {
    const bed = new Bed();
    bed.voters = [2n, 3n];
    bed.onTransfer = (to) => {
      bed.transferee = to;
    };
    bed.leadership.tick();
    assert.deepEqual(bed.transfers, [], "nobody is heard of");
    bed.followers = { 2: { match: 5 }, 3: { match: 4 } };
    bed.leadership.tick();
    bed.leadership.tick();
    assert.deepEqual(bed.transfers, [2n]);
    bed.transferee = 0n;
    bed.followers = { 2: { match: 5, isActive: false }, 3: { match: 4 } };
    bed.leadership.tick();
    assert.deepEqual(bed.transfers, [2n, 3n], "the core gave up on the first");
  });

  test("does nothing at a leader that votes, nor at a removed follower", () => {
    const bed = new Bed();
    bed.followers = { 2: { match: 5 } };
    bed.leadership.tick();
    bed.voters = [2n, 3n];
    bed.role = "follower";
    bed.leadership.tick();
    assert.deepEqual(bed.transfers, []);
  });
});

suite("Leadership.membersChanged()", () => {
  test("campaigns when there is one voter, and not before a joint configuration is left", () => {
    const bed = new Bed();
    bed.leadership.membersChanged();
    bed.voters = [1n];
    bed.votersOutgoing = [1n, 2n, 3n];
    bed.leadership.membersChanged();
    assert.equal(bed.campaigns, 0);
    bed.votersOutgoing = [];
    bed.leadership.membersChanged();
    assert.equal(bed.campaigns, 1);
  });
});

suite("Leadership.on()", () => {
  test("tells each change, until it is ended, also from within", () => {
    const bed = new Bed();
    const [all, some]: [bigint[], bigint[]] = [[], []];
    bed.leadership.on(({ leader }) => void all.push(leader));
    const end = bed.leadership.on(({ leader }) => {
      some.push(leader);
      if (leader === 0n) end();
    });
    for (const leader of [2n, 0n, 3n]) bed.learns(leader);
    assert.deepEqual(
      [all, some],
      [
        [2n, 0n, 3n],
        [2n, 0n],
      ],
    );
  });
});

test("timeoutSince() puts what waited down to a connection that was lost meanwhile: a follower's to its leader", async () => {
  const bed = new Bed();
  bed.learns(2n);
  await bed.after(60_000);
  const before = bed.clock.monotonicMs();
  bed.away.add(2n);
  bed.leadership.tick();
  assert.equal(bed.leadership.timeoutSince(before - 1).code, "TimeoutConnectionLost");
  bed.away.clear();
  await bed.after(TICK_MS);
  bed.leadership.tick();
  assert.equal(bed.leadership.timeoutSince(before - 1).code, "TimeoutConnectionLost");
  assert.equal(bed.leadership.timeoutSince(before + 1).code, "Timeout");
  bed.away.add(3n);
  bed.leadership.tick();
  assert.equal(bed.leadership.timeoutSince(before + 1).code, "Timeout");
});

test("timeoutSince() puts what waited down to lost connections where a leader has no quorum of them", async () => {
  const bed = new Bed();
  bed.learns(1n);
  await bed.after(60_000);
  const before = bed.clock.monotonicMs() - 1;
  bed.away.add(2n);
  bed.leadership.tick();
  assert.equal(bed.leadership.timeoutSince(before).code, "Timeout");
  bed.away.add(3n);
  bed.leadership.tick();
  assert.equal(bed.leadership.timeoutSince(before).code, "TimeoutConnectionLost");
});
