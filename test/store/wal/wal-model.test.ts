import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Random, seededRandom } from "../../../base/random.ts";
import type { Entry, EntryId } from "../../../store/raft/types.ts";
import type { OpenedWal, Wal } from "../../../store/wal/wal.ts";
import { entry, hardState, START, texts, WalBed } from "./wal-bed.ts";

const SEEDS = 250;
const LIVES = 8;

suite("Wal over power cuts", () => {
  test("append(), cut() and open() agree with a model, whenever the power goes", async () => {
    let torn = 0;
    let interruptedOpens = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const run = new ModelRun(seed);
      await run.live();
      torn += run.tornFrames;
      interruptedOpens += run.interruptedOpens;
    }
    // The test is worth something only if these happened.
    assert.ok(torn > 20, `${torn} torn frames`);
    assert.ok(interruptedOpens > 20, `${interruptedOpens} interrupted opens`);
  });
});

/** One disk, a few lives of a process on it. The log must be what was acknowledged, with or without the write under way. */
class ModelRun {
  interruptedOpens = 0;
  readonly #seed: number;
  readonly #bed: WalBed;
  readonly #random: Random;
  /** Acknowledged. */
  #sure: readonly Entry[] = [];
  /** With the batch that was under way. */
  #maybe: readonly Entry[] | undefined;
  #flushed: EntryId = START;
  #term = 1;

  constructor(seed: number) {
    this.#seed = seed;
    this.#bed = new WalBed({ seed });
    this.#random = seededRandom(seed * 7919);
  }

  get tornFrames(): number {
    return this.#bed.logged.length;
  }

  async live(): Promise<void> {
    for (let life = 0; life < LIVES; life += 1) {
      if (this.#random.next() < 0.3) this.#bed.disk.powerOffAfter(this.#below(14));
      const opened = await this.#open();
      if (opened !== undefined) {
        this.#check(opened, life);
        this.#bed.disk.powerOffAfter(this.#below(45));
        await this.#untilPowerGoes(opened.wal);
      }
      this.#bed.disk.crash({ random: this.#random });
    }
  }

  async #open(): Promise<OpenedWal | undefined> {
    try {
      return await this.#bed.open({ after: this.#flushed, segmentBytes: 4096 });
    } catch (error) {
      this.#requirePowerIsOff(error);
      this.interruptedOpens += 1;
      return undefined;
    }
  }

  #check(opened: OpenedWal, life: number): void {
    const found = texts(opened.entries).join("\n");
    const behind = (entries: readonly Entry[]) =>
      texts(entries.filter(({ index }) => index > this.#flushed.index)).join("\n");
    const fits = [this.#sure, this.#maybe].find((model) => model !== undefined && behind(model) === found);
    assert.ok(
      fits !== undefined,
      `seed ${this.#seed}, life ${life}: found\n${found}\nexpected\n${behind(this.#sure)}`,
    );
    this.#sure = fits;
    this.#maybe = undefined;
  }

  async #untilPowerGoes(wal: Wal): Promise<void> {
    try {
      for (let step = 0; step < 20; step += 1) {
        await this.#append(wal);
        if (this.#random.next() < 0.2) await this.#cut(wal);
      }
    } catch (error) {
      this.#requirePowerIsOff(error);
    }
  }

  async #append(wal: Wal): Promise<void> {
    const last = this.#sure.at(-1)?.index ?? 0;
    const replaced = this.#random.next() < 0.2 ? this.#below(last - this.#flushed.index + 1) : 0;
    if (replaced > 0 || this.#random.next() < 0.2) this.#term += 1;
    const first = last + 1 - replaced;
    const count = this.#below(4) + (replaced > 0 ? 1 : 0);
    const entries = Array.from({ length: count }, (_, i) => entry(first + i, this.#term, this.#data()));
    this.#maybe = count === 0 ? this.#sure : [...this.#sure.filter(({ index }) => index < first), ...entries];
    await wal.append({ hardState: hardState(this.#term), entries });
    this.#sure = this.#maybe;
    this.#maybe = undefined;
  }

  async #cut(wal: Wal): Promise<void> {
    const behind = this.#sure.filter(({ index }) => index > this.#flushed.index);
    const at = behind[this.#below(behind.length)];
    if (at !== undefined) this.#flushed = { index: at.index, term: at.term };
    await wal.cut(this.#flushed.index);
  }

  /** Short or some sectors long; sometimes with zeros in it, which look like what a power cut leaves. */
  #data(): Buffer {
    const length = this.#below(this.#below(2) === 0 ? 3000 : 40);
    return Buffer.alloc(length, this.#below(4) === 0 ? 0 : 97 + this.#below(26));
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  #requirePowerIsOff(error: unknown): void {
    assert.ok(this.#bed.disk.isPowerOff, `seed ${this.#seed}: failed with the power on: ${error}`);
  }
}
