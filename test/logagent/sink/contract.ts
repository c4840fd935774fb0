import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sink } from "../../../logagent/sink/port.ts";
import { RecordedFile } from "./recorded-file.ts";

/** A line as it is at the destination. */
export interface ArrivedLine {
  readonly value: Buffer;
  /** `<file id>:<offset>`, where the destination keeps headers. */
  readonly pos?: string;
  /** Lines of different partitions have no order. */
  readonly partition?: number;
}

/** A destination to hold a driver to the contract with. */
export interface ContractBed extends AsyncDisposable {
  /** What the status says of a topic that is missing, until `createTopic`; undefined where any can be written to. */
  readonly missingReason?: RegExp;
  /** What becomes of a line of `oversizedBytes`. */
  readonly oversized: { readonly bytes: number; readonly outcome: "arrives" | RegExp };
  /** A topic that exists. */
  newTopic(options?: { readonly partitions?: number }): Promise<string>;
  /** A name that no topic has. */
  unusedTopic(): string;
  createTopic(topic: string): Promise<void>;
  open(options?: { readonly maxInFlightBytes?: number }): Sink;
  /** All lines of a topic, those of one partition in order. */
  arrived(topic: string): Promise<readonly ArrivedLine[]>;
  /** Nothing can become durable until `back()`. */
  away(): Promise<void>;
  back(): Promise<void>;
  /** Requests, writes or whatever costs a round trip, so far; undefined where it cannot be told. */
  roundTrips?(): number;
}

const never = new AbortController().signal;
const within = (ms: number) => AbortSignal.timeout(ms);

/** Holds a driver to what port.ts says of every sink. */
export function sinkContract(name: string, newBed: () => Promise<ContractBed>): void {
  describe(name, () => {
    let bed: ContractBed;
    before(async () => {
      bed = await newBed();
    });
    after(() => bed[Symbol.asyncDispose]());

    it("deliver() keeps the order of each file and acknowledges each byte once", async () => {
      const topic = await bed.newTopic({ partitions: 3 });
      await using sink = bed.open();
      const files = [0, 1, 2, 3, 4].map((i) => new RecordedFile(`order-${topic}-${i}`));
      const sent = new Map<RecordedFile, string[]>(files.map((file) => [file, []]));
      for (let round = 0; round < 40; round++) {
        const file = files[(round * 7) % files.length] as RecordedFile;
        const lines = Array.from(
          { length: 1 + ((round * 13) % 50) },
          (_, i) => `${file.id} ${round} ${i} ${"x".repeat(i * 3)}`,
        );
        sent.get(file)?.push(...lines);
        await sink.deliver(file.next(topic, lines), { signal: within(30_000) });
      }
      await sink.flush({ signal: within(30_000) });
      const arrived = await bed.arrived(topic);
      for (const file of files) {
        file.assertComplete();
        assert.equal(file.settledLines, sent.get(file)?.length);
        const own = arrived.filter(({ value }) => value.toString().startsWith(`${file.id} `));
        assert.deepEqual(
          own.map(({ value }) => value.toString()),
          sent.get(file),
        );
        assert.equal(new Set(own.map(({ partition }) => partition)).size, 1, "a file stays in one partition");
      }
    });

    it("deliver() carries every byte as it is", async () => {
      const topic = await bed.newTopic();
      await using sink = bed.open();
      const file = new RecordedFile(`bytes-${topic}`);
      const lines = [
        Buffer.from(""),
        Buffer.from("\0\0a\0"),
        Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0x80]),
        Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10)),
        Buffer.from("ends with a carriage return\r"),
        Buffer.from(""),
        Buffer.from("grüße 日志 🪵"),
        Buffer.alloc(100_000, "long "),
        Buffer.alloc(63, 1),
        Buffer.alloc(64, 2),
      ];
      await sink.deliver(file.next(topic, lines), { signal: within(30_000) });
      await sink.flush({ signal: within(30_000) });
      const arrived = await bed.arrived(topic);
      assert.deepEqual(
        arrived.map(({ value }) => value.toString("latin1")),
        lines.map((line) => line.toString("latin1")),
      );
      let offset = 0;
      for (const [i, line] of lines.entries()) {
        const pos = arrived[i]?.pos;
        if (pos !== undefined) assert.equal(pos, `${file.id}:${offset}`);
        offset += line.length + 1;
      }
      file.assertComplete();
    });

    it("deliver() has taken the bytes when it resolves", async () => {
      const topic = await bed.newTopic();
      await using sink = bed.open();
      const file = new RecordedFile(`taken-${topic}`);
      const delivery = file.next(topic, ["before", "the chunk", "is read over"]);
      await sink.deliver(delivery, { signal: within(30_000) });
      delivery.spans.bytes.fill("#");
      await sink.flush({ signal: within(30_000) });
      const arrived = await bed.arrived(topic);
      assert.deepEqual(
        arrived.map(({ value }) => value.toString()),
        ["before", "the chunk", "is read over"],
      );
    });

    it("flush() settles everything accepted before, and at once when there is nothing", async () => {
      const topic = await bed.newTopic();
      await using sink = bed.open();
      await sink.flush({ signal: within(1_000) });
      const file = new RecordedFile(`flush-${topic}`);
      const delivery = file.next(topic, ["a", "bc"]);
      await sink.deliver(delivery, { signal: within(30_000) });
      assert.ok(sink.inFlightBytes === 5 || sink.inFlightBytes === 0);
      await sink.flush({ signal: within(30_000) });
      assert.equal(sink.inFlightBytes, 0);
      assert.deepEqual(file.settled, [{ from: 0, to: 5, lines: 2 }]);
      assert.equal(sink.topic(topic).kind, "ready");
      assert.equal(sink.topic("never used").kind, "unknown");
    });

    it("deliver() acknowledges bytes without a line", async () => {
      const topic = await bed.newTopic();
      await using sink = bed.open();
      const file = new RecordedFile(`empty-${topic}`);
      const none = file.next(topic, []);
      await sink.deliver({ ...none, spans: { ...none.spans, to: 12 } }, { signal: within(30_000) });
      await sink.flush({ signal: within(30_000) });
      assert.deepEqual(file.settled, [{ from: 0, to: 12, lines: 0 }]);
    });

    it("deliver() of many small files needs few round trips", async () => {
      const topic = await bed.newTopic();
      await using sink = bed.open();
      const files = Array.from({ length: 10_000 }, (_, i) => new RecordedFile(`small-${topic}-${i}`));
      const before = bed.roundTrips?.();
      for (const file of files) {
        await sink.deliver(file.next(topic, [`only line of ${file.id}`]), { signal: within(30_000) });
      }
      await sink.flush({ signal: within(30_000) });
      for (const file of files) file.assertComplete();
      const arrived = await bed.arrived(topic);
      assert.equal(arrived.length, files.length);
      if (before !== undefined)
        assert.ok((bed.roundTrips?.() ?? 0) - before < 200, "fewer than 200 round trips");
    });

    it("deliver() of an oversized line keeps its neighbours", async () => {
      const topic = await bed.newTopic();
      await using sink = bed.open();
      const file = new RecordedFile(`oversized-${topic}`);
      const lines = [
        Buffer.from("before"),
        randomText(bed.oversized.bytes),
        Buffer.from("behind"),
        Buffer.from("last"),
      ];
      await sink.deliver(file.next(topic, lines), { signal: within(30_000) });
      await sink.flush({ signal: within(60_000) });
      file.assertComplete();
      const texts = (await bed.arrived(topic)).map(({ value }) => value.toString("latin1"));
      if (bed.oversized.outcome === "arrives") {
        assert.deepEqual(
          texts,
          lines.map((line) => line.toString("latin1")),
        );
        assert.equal(file.rejections.length, 0);
      } else {
        assert.deepEqual(texts, ["before", "behind", "last"]);
        const [rejection, ...others] = file.rejections;
        assert.equal(others.length, 0);
        assert.equal(rejection?.from, 7);
        assert.equal(rejection?.to, 7 + bed.oversized.bytes + 1);
        assert.match(rejection?.reason ?? "", bed.oversized.outcome);
      }
    });

    it("deliver() to a missing topic waits with a reason and stops no other topic", async () => {
      if (bed.missingReason === undefined) return await assertAnyTopicIsThere(bed);
      const missing = bed.unusedTopic();
      const topic = await bed.newTopic();
      await using sink = bed.open();
      const lost = new RecordedFile(`missing-${missing}`);
      const fine = new RecordedFile(`fine-${topic}`);
      const waiting = sink.deliver(lost.next(missing, ["for later"]), { signal: never });
      for (let i = 0; i < 20; i++)
        await sink.deliver(fine.next(topic, [`line ${i}`]), { signal: within(10_000) });
      await sink.flush({ signal: within(10_000) });
      fine.assertComplete();
      await until(() => sink.topic(missing).kind === "waiting");
      const status = sink.topic(missing);
      assert.ok(status.kind === "waiting");
      assert.match(status.reason, bed.missingReason);
      assert.ok(Math.abs(status.sinceMs - Date.now()) < 60_000);
      assert.equal(sink.inFlightBytes, 0);
      await bed.createTopic(missing);
      await waiting;
      await sink.flush({ signal: within(30_000) });
      lost.assertComplete();
      const [arrived, ...others] = await bed.arrived(missing);
      assert.equal(arrived?.value.toString(), "for later");
      assert.equal(others.length, 0);
    });

    it("deliver() waits within its limit while the destination is away, and goes on when it is back", async () => {
      const topic = await bed.newTopic();
      const maxInFlightBytes = 256 * 1024;
      await using sink = bed.open({ maxInFlightBytes });
      const file = new RecordedFile(`away-${topic}`);
      const sent: string[] = [];
      const next = () => {
        const lines = Array.from({ length: 50 }, (_, i) => `${sent.length + i} ${"y".repeat(200)}`);
        return { lines, delivery: file.next(topic, lines) };
      };
      const first = next();
      sent.push(...first.lines);
      await sink.deliver(first.delivery, { signal: within(30_000) });
      await sink.flush({ signal: within(30_000) });
      const ackedBefore = file.settledBytes;
      await bed.away();
      let refused = 0;
      for (let i = 0; i < 100 && refused === 0; i++) {
        const { lines, delivery } = next();
        try {
          await sink.deliver(delivery, { signal: within(300) });
          sent.push(...lines);
        } catch (error) {
          assert.equal((error as Error).name, "TimeoutError", "rejects with the signal's reason");
          file.length = delivery.spans.from;
          refused += 1;
        }
        assert.ok(sink.inFlightBytes <= maxInFlightBytes, `${sink.inFlightBytes} bytes in flight`);
      }
      assert.equal(refused, 1, "it did not take everything");
      assert.equal(file.settledBytes, ackedBefore, "nothing is acknowledged before it is durable");
      await assert.rejects(sink.flush({ signal: within(50) }), { name: "TimeoutError" });
      await bed.back();
      for (let i = 0; i < 5; i++) {
        const { lines, delivery } = next();
        await sink.deliver(delivery, { signal: within(60_000) });
        sent.push(...lines);
      }
      await sink.flush({ signal: within(60_000) });
      file.assertComplete();
      assert.equal(sink.topic(topic).kind, "ready");
      const arrived = (await bed.arrived(topic)).map(({ value }) => value.toString());
      assert.deepEqual(withoutRepeats(arrived), sent);
    });

    it("close() leaves unacknowledged what is not, at once and again", async () => {
      const topic = await bed.newTopic();
      const sink = bed.open();
      const file = new RecordedFile(`close-${topic}`);
      await sink.deliver(file.next(topic, ["acknowledged"]), { signal: within(30_000) });
      await sink.flush({ signal: within(30_000) });
      await bed.away();
      try {
        await sink.deliver(file.next(topic, ["not acknowledged"]), { signal: within(30_000) });
        await sleep(50);
        await sink.close();
        await sink.close();
        await assert.rejects(sink.deliver(file.next(topic, ["too late"]), { signal: never }), {
          code: "ESINKCLOSED",
        });
        assert.deepEqual(file.settled, [{ from: 0, to: 13, lines: 1 }]);
      } finally {
        await bed.back();
      }
    });
  });
}

/** Where no topic can be missing, one that nobody made is ready after the first line. */
async function assertAnyTopicIsThere(bed: ContractBed): Promise<void> {
  const topic = bed.unusedTopic();
  await using sink = bed.open();
  await sink.deliver(new RecordedFile(topic).next(topic, ["x"]), { signal: within(10_000) });
  await sink.flush({ signal: within(10_000) });
  assert.equal(sink.topic(topic).kind, "ready");
  assert.equal((await bed.arrived(topic)).length, 1);
}

/** Lines may arrive twice where an attempt broke off after it had succeeded, but never out of order. */
function withoutRepeats(lines: readonly string[]): readonly string[] {
  const kept: string[] = [];
  let highest = -1;
  for (const line of lines) {
    const number = Number(line.split(" ", 1)[0]);
    if (number <= highest) continue;
    kept.push(line);
    highest = number;
  }
  return kept;
}

/** Text that does not compress, without a newline. */
function randomText(bytes: number): Buffer {
  const random = Buffer.alloc(bytes);
  let state = 12345;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const byte = state >>> 24;
    random[i] = byte === 10 ? 11 : byte;
  }
  return random;
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await sleep(20);
  assert.ok(condition(), "it became true within 10 s");
}
