import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Random, seededRandom } from "../../../base/random.ts";
import type { Message } from "../../../store/raft/message.ts";
import { ClusterBed, type Member } from "./cluster-bed.ts";
import { put, withoutSync } from "./replica-bed.ts";

const SEEDS = 24;
const ROUNDS = 60;
const CLIENTS = 4;

suite("ReadyLoops under faults", () => {
  test("nothing that was acknowledged is lost, nothing comes twice, and reads see what was acknowledged before them", async () => {
    let [acknowledged, unsure, reads, snapshots] = [0, 0, 0, 0];
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const history = await History.live(seed);
      assert.equal(history.violation, undefined, `seed ${seed}: ${history.violation}`);
      acknowledged += history.acknowledged.length;
      unsure += history.unsure;
      reads += history.reads;
      snapshots += history.snapshots;
    }
    // The test is worth something only if the faults came in the middle of things.
    const counts = `${acknowledged} acknowledged, ${unsure} unsure, ${reads} reads, ${snapshots} snapshots`;
    assert.ok(acknowledged > 1000 && unsure > 100 && reads > 300 && snapshots > 10, counts);
  });

  test("would be found out if a member answered before its log was on its disk", async () => {
    assert.match(
      await firstViolation({ isSyncing: false }),
      /is gone|has failed|not within|deep-equal|Cannot read WAL/,
    );
  });

  test("would be found out if a follower read without asking", async () => {
    assert.match(await firstViolation({ isAsking: false }), /a read missed/);
  });
});

interface Mutation {
  readonly isSyncing?: boolean;
  readonly isAsking?: boolean;
}

async function firstViolation(mutation: Mutation): Promise<string> {
  for (let seed = 1; seed <= 3 * SEEDS; seed += 1) {
    const { violation } = await History.live(seed, mutation);
    if (violation !== undefined) return violation;
  }
  return "no violation";
}

/** A cluster under load while members crash, links are cut and leaders are moved; then quiet, and everything is compared. */
class History {
  readonly acknowledged: string[] = [];
  readonly #proposed = new Set<string>();
  unsure = 0;
  reads = 0;
  snapshots = 0;
  violation: string | undefined;
  readonly #bed: ClusterBed;
  readonly #random: Random;
  readonly #mutation: Mutation;
  /** Of all calls: those to members that crash are never settled. */
  readonly #waits = { signal: new AbortController().signal };
  readonly #calls = new Set<Promise<void>>();

  private constructor(bed: ClusterBed, seed: number, mutation: Mutation) {
    this.#bed = bed;
    this.#random = seededRandom(seed * 7919);
    this.#mutation = mutation;
  }

  static async live(seed: number, mutation: Mutation = {}): Promise<History> {
    const limits = {
      keptEntries: 3,
      flushBytes: 300,
      segmentBytes: 2048,
      writeBytes: 400,
      applyingBytes: 500,
      appendBytes: 300,
      inflightMessages: 4,
      requestTimeoutMs: 3000,
    };
    const bed = await ClusterBed.open({
      seed,
      limits,
      prepare: (member) => {
        if (mutation.isSyncing === false) member.inFront = withoutSync;
      },
    });
    const history = new History(bed, seed, mutation);
    try {
      await history.#live();
    } catch (error) {
      history.violation ??= String(error);
    }
    history.snapshots = bed.network.snapshots;
    // Some of it may be beyond closing in order.
    for (const member of bed.running) member.crash();
    return history;
  }

  async #live(): Promise<void> {
    const bed = this.#bed;
    for (let round = 0; round < ROUNDS && this.violation === undefined; round += 1) {
      for (let i = 0; i < CLIENTS; i += 1) this.#call();
      await bed.run(10 + this.#below(120));
      await this.#fault();
      this.#checkFatal();
    }
    bed.network.heal();
    bed.network.filter = () => true;
    for (const member of bed.members) if (!member.isRunning) await member.start();
    await bed.elected();
    await bed.result(Promise.all(this.#calls));
    this.#checkFatal();
    this.violation ??= this.#check(await bed.settled());
  }

  async #fault(): Promise<void> {
    const bed = this.#bed;
    const member = this.#any(bed.members);
    const chance = this.#random.next();
    if (chance < 0.12 && member.isRunning) member.crash();
    else if (chance < 0.3 && !member.isRunning) await member.start();
    else if (chance < 0.4) bed.isolate(member);
    else if (chance < 0.46) bed.network.cutOneWay(member.id, this.#any(bed.members).id);
    else if (chance < 0.6) bed.network.heal();
    else if (chance < 0.66) bed.leader?.replica.transferLeader(member.id, this.#waits).catch(() => undefined);
    else if (chance < 0.72) this.#loseSome();
  }

  /** A kind of message gets lost now and then. */
  #loseSome(): void {
    const kinds: Message["kind"][] = [
      "append",
      "appendResponse",
      "heartbeat",
      "readIndex",
      "snapshot",
      "timeoutNow",
    ];
    const lost = this.#any(kinds);
    this.#bed.network.filter = ({ kind }) => kind !== lost || this.#random.next() < 0.6;
  }

  #call(): void {
    const member = this.#any(this.#bed.members);
    if (!member.isRunning) return;
    const call = this.#random.next() < 0.3 ? this.#read(member) : this.#put(member);
    // A crashed member answers nobody.
    const given = Promise.race([call, member.ended]).finally(() => this.#calls.delete(given));
    this.#calls.add(given);
  }

  async #put(member: Member): Promise<void> {
    const value = `v${this.#proposed.size}`.padEnd(20 + this.#below(100), ".");
    this.#proposed.add(value);
    try {
      await put(member.replica, value, this.#waits);
      this.acknowledged.push(value);
    } catch {
      this.unsure += 1;
    }
  }

  async #read(member: Member): Promise<void> {
    const { replica } = member;
    const before = this.acknowledged.length;
    try {
      if (this.#mutation.isAsking !== false) await replica.readIndex(this.#waits);
    } catch {
      return;
    }
    this.reads += 1;
    const values = new Set(replica.state.values);
    const missed = this.acknowledged.slice(0, before).find((value) => !values.has(value));
    if (missed !== undefined) this.violation ??= `a read missed ${missed}`;
  }

  #checkFatal(): void {
    for (const { id, fatal, isRunning } of this.#bed.members) {
      if (isRunning && fatal.length > 0) this.violation ??= `member ${id} has failed: ${fatal[0]}`;
    }
  }

  #check(values: readonly string[]): string | undefined {
    if (new Set(values).size !== values.length) return `a value is there twice: ${values}`;
    const stranger = values.find((value) => !this.#proposed.has(value));
    if (stranger !== undefined) return `${stranger} was never proposed`;
    const there = new Set(values);
    const lost = this.acknowledged.find((value) => !there.has(value));
    return lost === undefined ? undefined : `acknowledged ${lost} is gone`;
  }

  #any<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T;
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}
