import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { seededRandom } from "../../base/random.ts";
import { BatchedSink } from "../../logagent/sink/batched-sink.ts";
import { type Batch, DeliveryError, type Destination } from "../../logagent/sink/destination.ts";
import { LineBatch, newlineBytes } from "../../logagent/sink/line-batch.ts";
import type { Delivery, ShippedFile } from "../../logagent/sink/port.ts";
import { LARGE_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { SourceBed } from "../support/source-bed.ts";

const { signal } = new AbortController();
const MIB = 1024 * 1024;
/** What does not happen by then hangs. */
const HANGS_MS = 60_000;

async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (const endMs = performance.now() + HANGS_MS; !isTrue(); ) {
    assert.ok(performance.now() < endMs, `${what}, within ${HANGS_MS} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

suite("reading is fair by bytes", () => {
  test("fifty files that grow a little wait for two chunks of a huge one at most, whatever it still has", async () => {
    // Room for one large chunk, so that everybody waits for everybody.
    await using bed = await SourceBed.open({ chunkPoolBytes: LARGE_CHUNK_BYTES });
    const small = Array.from({ length: 50 }, (_, i) => bed.path(`small-${i}.log`));
    for (const path of small) writeFileSync(path, "");
    writeFileSync(bed.path("huge.log"), `${"x".repeat(4_095)}\n`.repeat((48 * MIB) / 4_096));
    const order: string[] = [];
    const deliver = bed.sink.deliver.bind(bed.sink);
    bed.sink.deliver = (delivery, options) => {
      order.push(delivery.topic);
      return deliver(delivery, options);
    };
    const calm = bed.start({ path: bed.path("small-*.log"), topic: "calm" });
    await bed.step(calm);
    const busy = bed.start({ path: bed.path("huge.log"), topic: "busy" });
    await busy.source.poll();
    for (let round = 0; round < 8; round++) {
      for (const path of small) appendFileSync(path, `round ${round}\n`);
      bed.clock.advance(250);
      const before = order.length;
      await calm.source.poll();
      const linesOfRound = () => order.slice(before).filter((topic) => topic === "calm").length;
      await until("each small file has its line delivered", () => linesOfRound() === small.length);
      const turnsOfHuge = order
        .slice(before, order.lastIndexOf("calm"))
        .filter((topic) => topic === "busy").length;
      assert.ok(turnsOfHuge <= 2, `${turnsOfHuge} chunks of the huge file came first`);
    }
    assert.ok(order.filter((topic) => topic === "busy").length < 40, "the huge file was read all the while");
    await busy.source.idle();
    assert.equal(bed.sink.lines("busy").length, (48 * MIB) / 4_096);
    assert.deepEqual(bed.sink.lines("calm").length, 8 * small.length);
    await bed.stop(calm);
    await bed.stop(busy);
  });
});

suite("a sink is shared fairly", () => {
  test("a topic that is answered once for twenty answers of another keeps it from nothing", async () => {
    const bed = new SinkBed();
    const slow = bed.destination.holdBack("slow");
    const slowPump = bed.pump("slow", 1_000);
    await until("the slow topic has what it may have", () => bed.destination.sends("slow") > 0);
    let answeredSlow = 0;
    bed.destination.onSent = (topic) => {
      if (topic !== "fast" || bed.destination.sends("fast") % 20 !== 0) return;
      answeredSlow += 1;
      slow.answerOne();
    };
    await bed.pump("fast", 400);
    await until("all of the fast topic is acknowledged", () => bed.acked("fast") === 400);
    assert.ok(answeredSlow <= bed.destination.sends("fast") / 20, `${answeredSlow} answers`);
    assert.ok(bed.acked("slow") < 1_000, "the slow topic has not been waited for");
    slow.answerAll();
    await slowPump;
    await bed.sink.flush({ signal });
    assert.equal(bed.acked("slow"), 1_000);
    await bed.sink.close();
  });

  test("a line that is refused for good costs its own partition a few requests, and another topic none", async () => {
    const bed = new SinkBed();
    bed.destination.poison = "poison";
    const lines = Array.from({ length: 1_000 }, (_, i) => (i === 617 ? "poison" : `line ${i}`));
    await bed.deliver("poisoned", lines);
    await bed.deliver("other", lines.slice(0, 100));
    await bed.sink.flush({ signal });
    assert.equal(bed.acked("poisoned"), lines.length - 1);
    assert.equal(bed.rejected, 1);
    assert.equal(bed.acked("other"), 100);
    assert.equal(bed.destination.sends("other"), 1);
    const most = 2 * Math.ceil(Math.log2(lines.length)) + 1;
    assert.ok(
      bed.destination.sends("poisoned") <= most,
      `${bed.destination.sends("poisoned")} of ${most} requests`,
    );
    await bed.sink.close();
  });
});

/** A destination that answers at once, but for topics that are held back and lines that are poisoned. */
class CountingDestination implements Destination {
  poison: string | undefined;
  onSent: (topic: string) => void = () => undefined;
  readonly #sends = new Map<string, number>();
  readonly #held = new Map<string, (() => void)[]>();

  sends(topic: string): number {
    return this.#sends.get(topic) ?? 0;
  }

  holdBack(topic: string) {
    const waiting: (() => void)[] = [];
    this.#held.set(topic, waiting);
    return {
      answerOne: () => waiting.shift()?.(),
      answerAll: () => {
        this.#held.delete(topic);
        for (const answer of waiting.splice(0)) answer();
      },
    };
  }

  async describe(name: string) {
    return { name, partitions: 1, batchBytesMax: MIB, warnings: [] };
  }

  newBatch(): LineBatch {
    return new LineBatch(MIB);
  }

  lineOverheadBytes(): number {
    return newlineBytes();
  }

  async send({ topic }: { readonly topic: string }, batch: Batch): Promise<void> {
    assert.ok(batch instanceof LineBatch);
    this.#sends.set(topic, this.sends(topic) + 1);
    this.onSent(topic);
    if (this.poison !== undefined && batch.bytes.includes(this.poison)) {
      throw new DeliveryError("MESSAGE_TOO_LARGE", "a line is poisoned", { remedy: "too-large" });
    }
    const held = this.#held.get(topic);
    if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** The real sink over a {@link CountingDestination}. */
class SinkBed {
  readonly destination = new CountingDestination();
  readonly sink = new BatchedSink({
    destination: this.destination,
    deps: { clock: systemClock, random: seededRandom(1), logger: recordedLog().log },
    maxInFlightBytes: 4 * MIB,
  });
  rejected = 0;
  readonly #acked = new Map<string, number>();

  acked(topic: string): number {
    return this.#acked.get(topic) ?? 0;
  }

  /** So many lines of 64 KiB, one after another, as fast as they are taken. */
  async pump(topic: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.deliver(topic, ["x".repeat(64 * 1024)]);
  }

  deliver(topic: string, lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
    const starts = new Uint32Array(lines.length);
    const ends = new Uint32Array(lines.length);
    let at = 0;
    for (const [i, line] of lines.entries()) {
      starts[i] = at;
      ends[i] = at + line.length;
      at += line.length + 1;
    }
    const spans = { bytes, base: 0, from: 0, to: bytes.length, count: lines.length, starts, ends };
    const delivery: Delivery = { topic, file: this.#file(topic), spans, readAtMs: 0, headers: false };
    return this.sink.deliver(delivery, { signal });
  }

  #file(topic: string): ShippedFile {
    return {
      id: topic,
      ip: "10.0.0.1",
      path: `/var/log/${topic}`,
      acked: (_from, _to, lines) => void this.#acked.set(topic, this.acked(topic) + lines),
      rejected: (_from, _to, lines) => {
        this.rejected += lines;
      },
    };
  }
}
