import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Disk } from "../../../base/disk.ts";
import { type Random, seededRandom } from "../../../base/random.ts";
import type { ReadyLoop } from "../../../store/replica/ready-loop.ts";
import { EMPTY_LIST, type ListImage, ListState } from "../../support/list-state.ts";
import { put, ReplicaBed, read, turns, withoutSync } from "./replica-bed.ts";

const SEEDS = 60;
const LIVES = 6;

suite("ReadyLoop over power cuts", () => {
  test("keeps every acknowledged proposal, in order, none twice, whenever the power goes", async () => {
    let acknowledged = 0;
    let unsure = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const history = new History(seed);
      const violation = await history.live();
      assert.equal(violation, undefined, `seed ${seed}: ${violation}`);
      acknowledged += history.acknowledged;
      unsure += history.unsure;
    }
    // The test is worth something only if the power went in the middle of things.
    assert.ok(acknowledged > 2000 && unsure > 200, `${acknowledged} acknowledged, ${unsure} unsure`);
  });

  test("would be found out if it acknowledged before the sync", async () => {
    assert.match(await firstViolation(withoutSync), /acknowledged .* is gone|Cannot read WAL/);
  });

  test("would be found out if it cut its log before the backend has flushed", async () => {
    assert.match(
      await firstViolation(
        (disk) => disk,
        (image) => new UnflushedList(image),
      ),
      /acknowledged .* is gone|Cannot read WAL/,
    );
  });

  test("would be found out if it did not sync its folder", async () => {
    assert.match(
      await firstViolation((disk) => ({ ...disk, syncFolder: async () => undefined })),
      /acknowledged .* is gone|Cannot read WAL/,
    );
  });
});

async function firstViolation(
  inFront: (disk: Disk) => Disk,
  state: (image: ListImage) => ListState = (image) => new ListState(image),
): Promise<string> {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const violation = await new History(seed, inFront, state).live();
    if (violation !== undefined) return violation;
  }
  return "no violation";
}

/** One disk, a few lives of a replica on it under load, and what its clients were told. */
class History {
  acknowledged = 0;
  unsure = 0;
  readonly #bed: ReplicaBed;
  readonly #random: Random;
  readonly #makeState: (image: ListImage) => ListState;
  /** Values whose proposal resolved, in the order of resolving; and those that were proposed. */
  #promised: string[] = [];
  readonly #proposed = new Set<string>();
  #image = EMPTY_LIST;
  #counter = 0;

  constructor(
    seed: number,
    inFront: (disk: Disk) => Disk = (disk) => disk,
    makeState: (image: ListImage) => ListState = (image) => new ListState(image),
  ) {
    this.#bed = new ReplicaBed(seed);
    this.#bed.inFront = inFront;
    this.#random = seededRandom(seed * 104_729);
    this.#makeState = makeState;
  }

  /** What promise was broken; undefined: none. */
  async live(): Promise<string | undefined> {
    for (let life = 0; life < LIVES; life += 1) {
      const state = this.#makeState(this.#image);
      // Nothing stays in the log for others: what a premature cut takes is missed.
      const kept = { keptEntries: 0, keptBytes: 0 };
      const limits = { flushBytes: 2000, segmentBytes: 4096, applyingBytes: 1000, writeBytes: 1500, ...kept };
      if (life > 0 && this.#random.next() < 0.3) this.#bed.memory.powerOffAfter(this.#below(20));
      try {
        const replica = await this.#bed.open({ state, limits });
        const violation = this.#check(state.values);
        if (violation !== undefined) return violation;
        this.#bed.memory.powerOffAfter(this.#below(150));
        await this.#load(replica);
      } catch (error) {
        if (!this.#bed.memory.isPowerOff) return String(error);
      }
      // The power goes for the backend as for the log.
      this.#image = state.image;
      this.#bed.memory.crash({ random: this.#random });
    }
    return undefined;
  }

  #check(values: readonly string[]): string | undefined {
    if (new Set(values).size !== values.length) return `a value is there twice: ${values}`;
    const stranger = values.find((value) => !this.#proposed.has(value));
    if (stranger !== undefined) return `${stranger} was never proposed`;
    let at = -1;
    for (const value of this.#promised) {
      const found = values.indexOf(value);
      if (found === -1) return `acknowledged ${value} is gone`;
      if (found < at) return `acknowledged ${value} is out of order`;
      at = found;
    }
    return undefined;
  }

  /** Clients that propose and read until the power goes. */
  async #load(replica: ReadyLoop<ListState>): Promise<void> {
    const client = async () => {
      for (let i = 0; i < 12; i += 1) {
        await turns(this.#below(4));
        if (this.#random.next() < 0.2) this.#bed.clock.advance(this.#below(120));
        await this.#call(replica);
      }
    };
    await Promise.allSettled(Array.from({ length: 6 }, client));
  }

  async #call(replica: ReadyLoop<ListState>): Promise<void> {
    if (this.#random.next() < 0.2) {
      const promisedBefore = [...this.#promised];
      await read(replica);
      const missing = promisedBefore.find((value) => !replica.state.values.includes(value));
      assert.equal(missing, undefined, "a linearizable read sees what was acknowledged before it");
      return;
    }
    this.#counter += 1;
    const value = `v${this.#counter}`.padEnd(this.#random.next() < 0.2 ? 1 + this.#below(1200) : 1, ".");
    this.#proposed.add(value);
    try {
      await put(replica, value);
      this.#promised.push(value);
      this.acknowledged += 1;
    } catch (error) {
      this.unsure += 1;
      throw error;
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}

/** A backend that says it has flushed what it has only applied. */
class UnflushedList extends ListState {
  override get flushedIndex(): number {
    return this.appliedIndex;
  }

  override async flush(): Promise<void> {
    await turns(1);
  }
}
