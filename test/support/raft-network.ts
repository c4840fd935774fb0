import assert from "node:assert/strict";
import type { Message } from "../../store/raft/message.ts";
import type { ConfState, Entry, ProposeOutcome, RaftLimits, RaftPolicy } from "../../store/raft/types.ts";
import { type MemberDisk, RaftMember } from "./raft-member.ts";

export const LIMITS: RaftLimits = {
  electionTicks: 10,
  heartbeatTicks: 1,
  uncommittedBytes: 100_000,
  appendBytes: 10_000,
  inflightMessages: 256,
  inflightBytes: 1_000_000,
  applyingBytes: 100_000,
  pendingReads: 100,
};

const POLICY: RaftPolicy = {
  preVote: true,
  checkQuorum: true,
  stepDownOnRemoval: true,
  validateConfChanges: true,
};

/** What a member has on disk when the test begins. */
export interface DiskStart {
  /** Terms of its entries, from index 1 on. */
  readonly terms?: readonly number[];
  /** Default: that of the last entry. */
  readonly term?: number;
  readonly vote?: bigint;
  readonly commit?: number;
}

export interface RaftNetworkOptions {
  readonly voters: readonly bigint[];
  readonly learners?: readonly bigint[];
  readonly limits?: Partial<RaftLimits>;
  readonly policy?: Partial<RaftPolicy>;
  readonly disks?: ReadonlyMap<bigint, DiskStart>;
}

/** "hold": until {@link RaftNetwork.release}. */
export type Fate = "deliver" | "drop" | "hold";

/** Rounds of a cluster that does not come to rest. */
const ROUNDS_MAX = 10_000;

/**
 * Cores that talk to each other in memory, one message after the other, with no clock but the test's. Election timeouts
 * are all of the longest kind, so that nobody campaigns before the test says so. Wherever entries are applied, they are
 * compared with what others applied at the same index, and the leaders of a term are counted.
 */
export class RaftNetwork {
  readonly members = new Map<bigint, RaftMember>();
  /** Every message that left, in order. */
  readonly sent: Message[] = [];
  readonly limits: RaftLimits;
  readonly policy: RaftPolicy;
  /** What happens to a message, beside the cuts. */
  fateOf: (message: Message) => Fate = () => "deliver";
  readonly #confState: ConfState;
  readonly #snapshots = new Map<number, readonly string[]>();
  readonly #appliedAt = new Map<number, string>();
  readonly #leaders = new Map<number, bigint>();
  readonly #cut = new Set<string>();
  #queue: Message[] = [];
  #held: Message[] = [];
  #ids = 0n;

  constructor(options: RaftNetworkOptions) {
    const { voters, learners = [], limits, policy, disks } = options;
    this.limits = { ...LIMITS, ...limits };
    this.policy = { ...POLICY, ...policy };
    this.#confState = { voters, votersOutgoing: [], learners, learnersNext: [], autoLeave: false };
    for (const id of [...voters, ...learners]) this.join(id, disks?.get(id));
  }

  /** Starts one more member, which knows the configuration that the network began with. */
  join(id: bigint, start: DiskStart = {}): RaftMember {
    const { limits, policy } = this;
    const random = { next: () => 0.999, uint64: () => ++this.#ids };
    const member = new RaftMember(id, diskOf(start, this.#confState), { limits, policy, random }, this.#port);
    this.members.set(id, member);
    return member;
  }

  member(id: bigint): RaftMember {
    const member = this.members.get(id);
    assert.ok(member, `member ${id} is in the network`);
    return member;
  }

  /** The leader of the highest term. */
  get leader(): RaftMember {
    const leaders = [...this.members.values()].filter(({ core }) => core.status.role === "leader");
    const [leader] = leaders.sort((a, b) => b.core.status.term - a.core.status.term);
    assert.ok(leader, "somebody leads");
    return leader;
  }

  /** Work and messages, until nothing is left to do. */
  settle(): void {
    for (let round = 0; this.step(); round += 1) assert.ok(round < ROUNDS_MAX, "the network comes to rest");
  }

  /** Everybody works once; then the messages that are on their way arrive. False when there was nothing to do. */
  step(): boolean {
    let isBusy = false;
    for (const member of this.members.values()) {
      while (member.work()) isBusy = true;
      this.#countLeader(member);
    }
    const queue = this.#queue;
    this.#queue = [];
    for (const message of queue) this.members.get(message.to)?.core.step(message);
    return isBusy || queue.length > 0;
  }

  /** Ticks of everybody's clock, or of some members', each followed by what it brings about. */
  tick(count = 1, ids: readonly bigint[] = [...this.members.keys()]): void {
    for (let i = 0; i < count; i += 1) {
      for (const id of ids) this.member(id).core.tick();
      this.settle();
    }
  }

  /** Makes a member campaign when nobody feels bound to a leader any more. */
  elect(id: bigint): RaftMember {
    this.settle();
    for (const { core } of this.members.values()) {
      if (core.status.role !== "leader") for (let i = 0; i < this.limits.electionTicks; i += 1) core.tick();
    }
    this.member(id).core.campaign();
    this.settle();
    return this.member(id);
  }

  propose(id: bigint, text: string): ProposeOutcome {
    return this.member(id).core.propose(Buffer.from(text));
  }

  /** Nothing gets from one to the other, in either direction. */
  cut(a: bigint, b: bigint): void {
    this.#cut.add(`${a} ${b}`).add(`${b} ${a}`);
  }

  isolate(id: bigint): void {
    for (const other of this.members.keys()) if (other !== id) this.cut(id, other);
  }

  /** All connections work again, and every message arrives. */
  heal(): void {
    this.#cut.clear();
    this.fateOf = () => "deliver";
  }

  /** What was held arrives with the next step. Returns it. */
  release(): readonly Message[] {
    const held = this.#held;
    this.#held = [];
    this.#queue.push(...held);
    return held;
  }

  get held(): readonly Message[] {
    return this.#held;
  }

  /** Messages of one kind that left since the last call of {@link forgetSent}. */
  sentOf<Kind extends Message["kind"]>(
    kind: Kind,
    ends: { readonly from?: bigint; readonly to?: bigint } = {},
  ): Extract<Message, { readonly kind: Kind }>[] {
    const { from, to } = ends;
    return this.sent.filter(
      (message): message is Extract<Message, { readonly kind: Kind }> =>
        message.kind === kind &&
        (from === undefined || message.from === from) &&
        (to === undefined || message.to === to),
    );
  }

  forgetSent(): void {
    this.sent.length = 0;
  }

  readonly #port = {
    snapshots: this.#snapshots,
    send: (message: Message) => {
      this.sent.push(message);
      const fate = this.#cut.has(`${message.from} ${message.to}`) ? "drop" : this.fateOf(message);
      if (fate === "hold") this.#held.push(message);
      else if (fate === "deliver") this.#queue.push(message);
    },
    appliedEntry: (member: RaftMember, { index, term, data }: Entry) => {
      const text = `${term} ${Buffer.from(data).toString("hex")}`;
      const known = this.#appliedAt.get(index);
      assert.equal(text, known ?? text, `member ${member.id} applies at index ${index} what others do`);
      this.#appliedAt.set(index, text);
    },
  };

  #countLeader({ id, core }: RaftMember): void {
    const { role, term } = core.status;
    if (role !== "leader") return;
    assert.equal(this.#leaders.get(term) ?? id, id, `term ${term} has one leader`);
    this.#leaders.set(term, id);
  }
}

/** Entries with these terms, from index 1 on; the data tells both. */
export function entriesOf(terms: readonly number[]): Entry[] {
  return terms.map((term, i) => ({
    term,
    index: i + 1,
    kind: "normal",
    data: Buffer.from(`${term}:${i + 1}`),
  }));
}

function diskOf({ terms = [], term, vote = 0n, commit = 0 }: DiskStart, confState: ConfState): MemberDisk {
  return {
    hardState: { term: term ?? terms.at(-1) ?? 0, vote, commit },
    compacted: { term: 0, index: 0 },
    entries: entriesOf(terms),
    applied: 0,
    confState,
    state: [],
  };
}
