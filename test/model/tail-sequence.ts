import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Random, seededRandom } from "../../base/random.ts";
import { decodeCheckpoints } from "../../logagent/checkpoint/checkpoint-codec.ts";
import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import { isSameBytes } from "../../logagent/source/file-hash.ts";
import type { TailedFile } from "../../logagent/source/tailed-file.ts";
import type { ArrivedLine } from "../support/memory-sink.ts";
import { MortalDisk } from "../support/mortal-disk.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";
import { type Content, LogWorld } from "./log-world.ts";

const OPERATIONS = 60;
const NAMES = ["a.log", "b.log"];
const GLOBS = ["*.log", "*.log*", "a.log"];
const STEPS_MS = [1, 50, 250, 500, 1000, 2500];
const TOPIC = "t";
/** Of those of one step, in the history. */
const ARRIVALS_SHOWN = 10;

interface Loss {
  readonly file: string;
  readonly path: string;
  readonly from: number;
  readonly to: number | "unknown";
}

/** What happened, for a failure's message. */
export interface Outcome {
  readonly history: readonly string[];
  readonly lines: number;
}

/** Runs one random sequence; throws an AssertionError with the seed and the history when a property does not hold. */
export async function runSequence(seed: number): Promise<Outcome> {
  await using sequence = await Sequence.open(seed);
  try {
    await sequence.run();
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { history } = sequence;
    throw new assert.AssertionError({ message: `seed ${seed}: ${message}\n${history.join("\n")}` });
  }
  return { history: sequence.history, lines: sequence.lineCount };
}

class Sequence implements AsyncDisposable {
  readonly history: string[] = [];
  readonly #bed: SourceBed;
  readonly #random: Random;
  readonly #world: LogWorld;
  readonly #glob: string;
  #disk: MortalDisk;
  #running: Running | undefined;
  /** Arrivals before this one are of earlier lives of the agent. */
  #lifeBegan = 0;
  readonly #origins = new Map<ArrivedLine, readonly Content[]>();
  /** By file id: what no later life may send again. */
  #durable = new Map<string, CheckpointRecord>();

  private constructor(seed: number, bed: SourceBed, disk: MortalDisk) {
    this.#bed = bed;
    this.#disk = disk;
    this.#random = seededRandom(seed);
    this.#world = new LogWorld(join(bed.folder, "logs"), NAMES, this.#random);
    this.#glob = GLOBS[seed % GLOBS.length] as string;
  }

  static async open(seed: number): Promise<Sequence> {
    const disk = new MortalDisk();
    return new Sequence(seed, await SourceBed.open({ seed, autoAck: false, disk }), disk);
  }

  get lineCount(): number {
    return this.#bed.sink.arrived.length;
  }

  async run(): Promise<void> {
    this.history.push(`glob ${this.#glob}`);
    this.#start();
    for (let i = 0; i < OPERATIONS; i++) {
      await this.#operation();
      this.#checkArrivals();
    }
    await this.#finish();
    this.#checkArrivals();
    this.#checkNothingIsMissing();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running !== undefined) await this.#bed.stop(this.#running);
    this.#world.close();
    await this.#bed[Symbol.asyncDispose]();
  }

  async #operation(): Promise<void> {
    const world = this.#world;
    const { sink } = this.#bed;
    const isHeld = (ino: bigint) => this.#isHeld(ino);
    const [name, act] = weighted<() => unknown>(this.#random, [
      [6, "append", () => world.append(world.pick(world.live))],
      [3, "append part", () => world.appendPart(world.pick(world.live))],
      [1, "late append", () => world.append(world.pick(world.moved))],
      [3, "create", () => world.create()],
      [2, "rotate", () => world.rotate(isHeld)],
      [1, "truncate", () => world.truncate()],
      [0.5, "rewrite larger", () => world.rewriteLarger()],
      [0.7, "delete", () => world.delete(isHeld)],
      [9, "step", () => this.#step(world.pick(STEPS_MS) ?? 0)],
      [2, "ack one", () => this.#ackOne()],
      [2, "ack all", () => sink.ackAll()],
      [0.5, "close topic", () => sink.closeTopic(TOPIC)],
      [1.5, "open topic", () => sink.openTopic(TOPIC)],
      [0.5, "crash", () => this.#crash(0)],
      [0.5, "crash while writing", () => this.#crash(Math.floor(this.#random.next() * 12))],
      [0.5, "stop", () => this.#stop()],
      [1.5, "start", () => this.#start()],
    ]);
    this.history.push(name);
    await act();
  }

  #start(): void {
    this.#running ??= this.#bed.start({ path: this.#bed.path(this.#glob), topic: TOPIC });
  }

  async #step(ms: number): Promise<void> {
    if (this.#running === undefined) return;
    const loggedBefore = this.#bed.logged.length;
    const arrivedBefore = this.#bed.sink.arrived.length;
    this.#bed.clock.advance(ms);
    await this.#running.source.poll();
    await this.#quiet(this.#running);
    for (const file of this.#running.source.files) {
      const content = this.#world.contentOf(file.ino);
      if (content === undefined || file.lookedAtMs !== this.#bed.clock.monotonicMs()) continue;
      content.seen = Math.max(content.seen, Math.min(file.size, content.bytes.byteLength));
    }
    const said = this.#bed.logged.slice(loggedBefore).map((line) => JSON.stringify(line));
    const arrived = this.#bed.sink.arrived.slice(arrivedBefore);
    const lines = arrived
      .slice(0, ARRIVALS_SHOWN)
      .map((line) => `    ${line.fileId}:${line.offset} ${line.path} ${line.value}`);
    this.history.push(`  ${ms} ms, ${arrived.length} lines arrived`, ...lines, ...said);
  }

  /** Until every file is at its end or waits for the topic, and the checkpoints are written. */
  async #quiet(running: Running): Promise<void> {
    // After a crash in the middle of a write nothing goes on.
    const isBusy = () =>
      this.#disk.pending > 0 || (!this.#disk.isDead && [...running.source.files].some(isReading));
    let turns = 0;
    do {
      await nextTurn();
      assert.ok(++turns < 100_000, "the source comes to rest");
    } while (isBusy());
  }

  #ackOne(): void {
    const index = Math.floor(this.#random.next() * this.#bed.sink.unackedDeliveries);
    this.#bed.sink.ack(index, this.#random.next() < 0.3 ? 1 : 0);
  }

  async #crash(operationsLeft: number): Promise<void> {
    if (this.#running === undefined) return;
    this.#disk.dieAfter(operationsLeft);
    if (operationsLeft > 0) {
      this.#bed.sink.ackAll();
      await this.#step(1000);
    }
    this.#disk.dieAfter(0);
    await this.#end(this.#running);
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    await running.source.stop();
    await this.#bed.checkpoints.close();
    await this.#end(running);
  }

  /** The next life finds what this one has left on disk. */
  async #end(running: Running): Promise<void> {
    await this.#bed.stop(running);
    this.#bed.claims.setOrder([]);
    this.#running = undefined;
    this.#bed.sink.forget(() => this.#random.next() < 0.5);
    this.#world.agentDied();
    this.#disk = new MortalDisk();
    this.#bed.disk = this.#disk;
    await this.#bed.openCheckpoints();
    this.#lifeBegan = this.#bed.sink.arrived.length;
    this.#durable = new Map(this.#recordsOnDisk().map((record) => [record.id, record]));
    for (const content of this.#world.contents) this.#forgetUnknown(content);
  }

  /** What is not in the checkpoints the agent does not know it has seen, nor does it look for it elsewhere. */
  #forgetUnknown(content: Content): void {
    const known = [...this.#durable.values()].filter(({ fingerprint, ino }) =>
      fingerprint.length === 0
        ? this.#world.contentOf(ino) === content
        : isSameBytes(fingerprint, content.bytes.subarray(0, fingerprint.length)),
    );
    content.seen = Math.min(content.seen, Math.max(0, ...known.map((record) => record.seen)));
    if (content.hasMoved && known.length === 0) content.missed = true;
  }

  #recordsOnDisk(): readonly CheckpointRecord[] {
    for (const name of ["checkpoints", "checkpoints.previous"]) {
      const path = join(this.#bed.folder, "checkpoints", name);
      try {
        return decodeCheckpoints(readFileSync(path), path).records;
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
      }
    }
    return [];
  }

  async #finish(): Promise<void> {
    this.history.push("finish");
    this.#start();
    const { sink } = this.#bed;
    sink.openTopic(TOPIC);
    for (let i = 0; i < 60; i++) {
      await this.#step(500);
      sink.ackAll();
    }
    assert.equal(sink.unackedDeliveries, 0);
  }

  #isHeld(ino: bigint): boolean {
    return [...(this.#running?.source.files ?? [])].some((file) => file.ino === ino);
  }

  /** Every line is one that was written, in order, and again only where no durable acknowledgement was. */
  #checkArrivals(): void {
    const last = new Map<string, number>();
    for (const line of this.#bed.sink.arrived.slice(this.#lifeBegan)) {
      const where = `${line.fileId}:${line.offset}`;
      const previous = last.get(line.fileId) ?? -1;
      assert.ok(line.offset > previous, `${where} comes after ${previous}`);
      last.set(line.fileId, line.offset);
      const durable = this.#durable.get(line.fileId)?.offset ?? 0;
      assert.ok(line.offset >= durable, `${where} is sent again, but ${durable} is durable`);
      assert.ok(this.#contentsWith(line).length > 0, `${where} is in no file: ${line.value.toString()}`);
    }
    this.#checkOrderOfLanes(this.#contentById());
  }

  /** The contents that hold this line at its offset, as of its arrival: what is born later is not where it came from. */
  #contentsWith(line: ArrivedLine): readonly Content[] {
    const known = this.#origins.get(line);
    if (known !== undefined) return known;
    const { offset, value } = line;
    const contents = this.#world.contents.filter(({ bytes }) =>
      bytes.subarray(offset, offset + value.byteLength).equals(value),
    );
    this.#origins.set(line, contents);
    return contents;
  }

  #checkNothingIsMissing(): void {
    const contentById = this.#contentById();
    const losses = this.#bed.logged.flatMap((line) => (line.loss === undefined ? [] : [line.loss as Loss]));
    for (const content of this.#world.contents) {
      if (!this.#matchesGlob(content)) continue;
      const own = [...contentById].find(([, other]) => other === content)?.[0];
      for (const { from, to } of linesOf(content)) {
        if (this.#hasArrived(content, from, to)) continue;
        const isSaid = losses.some(
          (loss) =>
            loss.path === content.lane &&
            (own === undefined || own === loss.file) &&
            loss.from <= from &&
            (loss.to === "unknown" || loss.to >= to),
        );
        const wasSeen = to <= content.seen;
        const isExcused = wasSeen
          ? isSaid || (content.isDeleted && content.missed)
          : content.isCut || content.missed;
        const { bytes, ...facts } = content;
        const text = bytes.subarray(from, to).toString();
        assert.ok(isExcused, `[${from}, ${to}) is missing of ${JSON.stringify(facts)}: ${text}`);
      }
    }
  }

  #matchesGlob(content: Content): boolean {
    return this.#glob !== "a.log" || content.lane === this.#bed.path("a.log");
  }

  /** Which content each id stands for; an id has one content, and a content one id. */
  #contentById(): Map<string, Content> {
    const candidates = new Map<string, readonly Content[]>();
    for (const line of this.#bed.sink.arrived) {
      const contents = this.#contentsWith(line);
      const known = candidates.get(line.fileId) ?? contents;
      const both = known.filter((content) => contents.includes(content));
      assert.ok(both.length > 0, `${line.fileId} is the id of two contents: ${line.value.toString()}`);
      candidates.set(line.fileId, both);
    }
    const ids = new Map<string, Content>();
    for (const [id, [content, ...others]] of candidates) {
      if (content === undefined || others.length > 0) continue;
      assert.ok(
        ![...ids.values()].includes(content),
        `content ${content.number} has two ids, ${id} and another`,
      );
      ids.set(id, content);
    }
    return ids;
  }

  /** What was at a path earlier arrives earlier, but for what was written after it had moved. */
  #checkOrderOfLanes(contentById: ReadonlyMap<string, Content>): void {
    const last = new Map<string, Content>();
    for (const { fileId, path, offset } of this.#bed.sink.arrived.slice(this.#lifeBegan)) {
      const content = contentById.get(fileId);
      if (content === undefined || content.isLate || content.missed) continue;
      const before = last.get(path);
      const isInOrder = before === undefined || before.number <= content.number;
      assert.ok(isInOrder, `${path}: content ${content.number} at ${offset} comes after ${before?.number}`);
      last.set(path, content);
    }
  }

  #hasArrived(content: Content, from: number, to: number): boolean {
    const line = content.bytes.subarray(from, to).toString().trimEnd();
    return this.#arrivedTexts(content).includes(line);
  }

  /** All that arrived of a content, pieces of one line joined. */
  #arrivedTexts(content: Content): string {
    const cached = this.#texts.get(content);
    if (cached !== undefined) return cached;
    const pieces = new Map<number, Buffer>();
    for (const line of this.#bed.sink.arrived) {
      const there = content.bytes.subarray(line.offset, line.offset + line.value.byteLength);
      const known = pieces.get(line.offset)?.byteLength ?? 0;
      if (line.value.byteLength > known && there.equals(line.value)) pieces.set(line.offset, line.value);
    }
    let text = "";
    let end = -1;
    for (const [offset, value] of [...pieces].sort(([a], [b]) => a - b)) {
      text += `${offset === end ? "" : "\n"}${value.toString()}`;
      end = offset + value.byteLength;
    }
    this.#texts.set(content, text);
    return text;
  }

  readonly #texts = new Map<Content, string>();
}

function isReading(file: TailedFile): boolean {
  return file.shipping !== undefined && file.deliveringSinceMs === undefined;
}

function linesOf(content: Content): readonly { readonly from: number; readonly to: number }[] {
  const lines: { from: number; to: number }[] = [];
  for (let from = 0; ; ) {
    const newline = content.bytes.indexOf(10, from);
    if (newline === -1) return lines;
    lines.push({ from, to: newline + 1 });
    from = newline + 1;
  }
}

function weighted<T>(random: Random, choices: readonly (readonly [number, string, T])[]): [string, T] {
  let at = random.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, name, value] of choices) {
    at -= weight;
    if (at < 0) return [name, value];
  }
  throw new Error("weights are positive");
}
