import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../../../../base/clock.ts";
import { partitionFor } from "../../../../logagent/sink/partition-for.ts";
import { temporaryFolder } from "../../../support/process.ts";
import { recordedLog } from "../../../support/recorded-log.ts";
import { RecordedFile } from "../recorded-file.ts";
import type { Fate, ProduceCall } from "./fake-cluster.ts";
import { SinkBed, until, within } from "./sink-bed.ts";

const COORDINATOR_NOT_AVAILABLE = 15;
const CLUSTER_AUTHORIZATION_FAILED = 31;

/** A script that gives the batch with line `number` this fate, the first time it comes. */
function once(number: number, fate: Fate): (call: ProduceCall) => Fate {
  let isOver = false;
  return ({ lines }) => {
    if (isOver || !lines.some((line) => line.startsWith(`${number} `))) return undefined;
    isOver = true;
    return fate;
  };
}

describe("Kafka sink, numbered batches", () => {
  it("numbers by producer and line, the first batch alone and then five on their way", async () => {
    await using bed = await SinkBed.start();
    const { cluster } = bed;
    cluster.script = async () => {
      if (cluster.calls.length === 1) assert.equal(cluster.requests.length, 1);
      // The second is not answered before five are here.
      if (cluster.calls.length === 2) await until(() => cluster.requests.length === 6);
      return undefined;
    };
    await bed.deliver(30);
    await bed.flush();
    bed.assertExactlyOnce();
    assert.equal(Math.max(...cluster.requests.map(({ pending }) => pending)), 5);
    assert.deepEqual(
      bed.stamps(),
      Array.from({ length: 15 }, (_, i) => `1/0/${i * 2}`),
    );
  });

  for (const lost of ["request", "answer"] as const) {
    it(`sends again with the same numbers when the ${lost} is lost with its connection`, async () => {
      await using bed = await SinkBed.start();
      bed.cluster.script = once(8, { lost });
      await bed.deliver(30);
      await bed.flush();
      bed.assertExactlyOnce();
      assert.equal(bed.arrivals().filter((stamp) => stamp === "1/0/8").length, 2);
      assert.deepEqual([...new Set(bed.codes)].length, 1);
    });
  }

  it("ends a connection that stays open and silent, and sends again with the same numbers", async () => {
    await using bed = await SinkBed.start({ requestTimeoutMs: 400 });
    bed.cluster.script = once(8, { lost: "silently" });
    await bed.deliver(30);
    await bed.flush();
    bed.assertExactlyOnce();
    assert.ok(bed.codes.includes("ETIMEDOUT"));
    assert.equal(bed.arrivals().filter((stamp) => stamp === "1/0/8").length, 2);
  });

  for (const code of [7, 20]) {
    it(`sends again what is appended and not confirmed (code ${code})`, async () => {
      await using bed = await SinkBed.start();
      bed.cluster.script = once(8, { code, appended: true });
      await bed.deliver(30);
      await bed.flush();
      bed.assertExactlyOnce();
    });
  }

  it("takes DUPLICATE_SEQUENCE_NUMBER for success", async () => {
    await using bed = await SinkBed.start();
    bed.cluster.script = once(8, { code: 46, appended: true });
    await bed.deliver(30);
    await bed.flush();
    bed.assertExactlyOnce();
    assert.deepEqual(bed.codes, []);
    assert.equal(bed.cluster.calls.length, 15);
  });

  it("begins the next epoch at OUT_OF_ORDER_SEQUENCE_NUMBER, when the broker has lost what it confirmed", async () => {
    await using bed = await SinkBed.start();
    await bed.deliver(10);
    await bed.flush();
    bed.cluster.setLog("t", 0, bed.cluster.log("t").prefix(3));
    await bed.deliver(10);
    await bed.flush();
    bed.file.assertComplete();
    assert.deepEqual(bed.cluster.log("t").lines, [...bed.sent.slice(0, 6), ...bed.sent.slice(10)]);
    assert.deepEqual(bed.codes, ["OUT_OF_ORDER_SEQUENCE_NUMBER"]);
    assert.deepEqual(bed.stamps().slice(3), ["1/1/0", "1/1/2", "1/1/4", "1/1/6", "1/1/8"]);
  });

  it("begins the next epoch at UNKNOWN_PRODUCER_ID", async () => {
    await using bed = await SinkBed.start();
    bed.cluster.script = once(8, { code: 59 });
    await bed.deliver(20);
    await bed.flush();
    bed.assertExactlyOnce();
    assert.deepEqual(bed.stamps().slice(3, 6), ["1/0/6", "1/1/0", "1/1/2"]);
  });

  for (const [name, code] of [
    ["INVALID_PRODUCER_EPOCH", 47],
    ["PRODUCER_FENCED", 90],
  ] as const) {
    it(`takes another producer id at ${name}, for that partition alone`, async () => {
      await using bed = await SinkBed.start();
      bed.cluster.createTopic("other");
      const other = new RecordedFile("other");
      await bed.sink.deliver(other.next("other", ["a"]), { signal: within(10_000) });
      bed.cluster.script = once(8, { code });
      await bed.deliver(20);
      await bed.flush();
      await bed.sink.deliver(other.next("other", ["b"]), { signal: within(10_000) });
      await bed.flush();
      bed.assertExactlyOnce();
      assert.deepEqual(bed.stamps().slice(3, 6), ["1/0/6", "2/0/0", "2/0/2"]);
      assert.ok(bed.codes.includes(name));
      const stamps = bed.cluster.log("other").stamps.map(({ producerId }) => producerId);
      assert.deepEqual(stamps, [1001n, 1001n]);
    });
  }

  it("follows the leader", async () => {
    await using bed = await SinkBed.start({}, { nodes: 2 });
    bed.cluster.script = ({ lines }) => {
      if (lines[0]?.startsWith("8 ")) bed.cluster.lead("t", 0, 1);
      return undefined;
    };
    await bed.deliver(40);
    await bed.flush();
    bed.assertExactlyOnce();
    assert.ok(bed.codes.includes("NOT_LEADER_OR_FOLLOWER"));
    assert.equal(bed.cluster.calls.at(-1)?.node, 1);
  });

  it("sends one at a time, without numbers, when it is told to", async () => {
    await using bed = await SinkBed.start({ idempotent: false });
    bed.cluster.script = once(8, { lost: "request" });
    await bed.deliver(20);
    await bed.flush();
    bed.assertExactlyOnce();
    assert.deepEqual([...new Set(bed.arrivals())], ["none/-1/-1"]);
    assert.equal(Math.max(...bed.cluster.requests.map(({ pending }) => pending)), 1);
  });

  it("waits with a reason while it gets no producer id", async () => {
    await using bed = await SinkBed.start();
    bed.cluster.initProducerCode = CLUSTER_AUTHORIZATION_FAILED;
    await bed.deliver(4);
    await bed.reason(/^Cannot get a producer id from .*sink\.idempotent.*CLUSTER_AUTHORIZATION_FAILED/);
    assert.equal(bed.file.settledLines, 0);
    bed.cluster.initProducerCode = 0;
    await bed.flush();
    bed.assertExactlyOnce();
  });

  it("says that no broker helps, not that none is reached, while all of them answer and refuse", async () => {
    await using bed = await SinkBed.start({}, { nodes: 2 });
    bed.cluster.initProducerCode = COORDINATOR_NOT_AVAILABLE;
    await bed.deliver(4);
    await bed.reason(
      /^No answer that helps from any Kafka broker of 127.*: Cannot get a producer id from .*COORDINATOR_NOT_AVAILABLE/,
    );
    bed.cluster.initProducerCode = 0;
    await bed.flush();
    bed.assertExactlyOnce();
  });

  it("takes a definite refusal from the first broker that answers", async () => {
    await using bed = await SinkBed.start({}, { nodes: 2 });
    bed.cluster.initProducerCode = CLUSTER_AUTHORIZATION_FAILED;
    await bed.deliver(4);
    await bed.reason(/^Cannot get a producer id/);
    assert.equal(bed.cluster.initProducerNodes.size, 1);
  });
});

describe("Kafka sink, what is asked about topics", () => {
  it("reads the limits of many topics with one request, without those that it may not read", async () => {
    await using bed = await SinkBed.start();
    const { cluster, sink } = bed;
    const topics = Array.from({ length: 50 }, (_, i) => `topic-${i}`);
    for (const topic of topics) cluster.createTopic(topic);
    cluster.unreadableConfigs.add("topic-7");
    const line = "x".repeat(120);
    await Promise.all(
      topics.map((topic) =>
        sink.deliver(new RecordedFile(topic).next(topic, [line, line, line]), { signal: within(20_000) }),
      ),
    );
    await bed.flush();
    assert.deepEqual(cluster.configRequests, [topics]);
    const batches = (topic: string) => cluster.calls.filter((call) => call.topic === topic).length;
    // As small as the topic's limit wants them, or as large as the broker's default allows.
    assert.equal(batches("topic-6"), 2);
    assert.equal(batches("topic-7"), 1);
  });
});

describe("Kafka sink, topics that change", () => {
  /** A clock that can be set forward; sleeps are those of the machine. */
  function aheadClock() {
    let aheadMs = 0;
    return {
      clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs },
      pass: (ms: number) => {
        aheadMs += ms;
      },
    };
  }

  it("settles what a path has in its old partition before its lines go to a new one", async () => {
    const { clock, pass } = aheadClock();
    await using bed = await SinkBed.start({ requestTimeoutMs: 10 ** 9 }, { deps: { clock } });
    const { cluster } = bed;
    const partition = partitionFor(bed.file, undefined, 8);
    assert.notEqual(partition, 0);
    const held = Promise.withResolvers<void>();
    cluster.script = async (call) => {
      if (call.lines[0]?.startsWith("4 ")) await held.promise;
      return undefined;
    };
    await bed.deliver(10);
    cluster.addPartitions("t", 7);
    pass(10 * 60_000);
    // The next one asks about the topic; then one is made to wait.
    let waiting: Promise<void> | undefined;
    for (let i = 0; i < 500 && waiting === undefined; i++) {
      const delivered = bed.deliver(1);
      const isTaken = await Promise.race([delivered.then(() => true), systemClock.sleep(50)]);
      if (isTaken !== true) waiting = delivered;
      await systemClock.sleep(2);
    }
    assert.ok(waiting !== undefined, "a delivery waits");
    const taken = bed.sent.length - 1;
    assert.ok(cluster.calls.every((call) => call.partition === 0));
    assert.ok(cluster.log("t", 0).lines.length < taken);
    held.resolve();
    await waiting;
    await bed.deliver(6);
    await bed.flush();
    bed.file.assertComplete();
    assert.deepEqual(cluster.log("t", 0).lines, bed.sent.slice(0, taken));
    assert.deepEqual(cluster.log("t", partition).lines, bed.sent.slice(taken));
    const first = cluster.calls.findIndex((call) => call.partition === partition);
    assert.ok(cluster.calls.slice(first).every((call) => call.partition === partition));
  });

  it("sends lines with a key to the partition of the key, those without to that of the path, and settles every byte", async () => {
    await using bed = await SinkBed.start();
    const { cluster } = bed;
    cluster.createTopic("t", 8);
    const expected = new Map<number, string[]>();
    const users = ["ann", "bob", undefined, "日本"];
    for (let round = 0; round < 30; round += 1) {
      const keys = Array.from({ length: 7 }, (_, i) => users[(round * i) % users.length]);
      const lines = keys.map((key, i) => `${round}-${i} ${key}`);
      const delivery = bed.file.next("t", lines);
      const spans = {
        ...delivery.spans,
        keys: keys.map((key) => (key === undefined ? key : Buffer.from(key))),
      };
      await bed.sink.deliver({ ...delivery, spans }, { signal: within(20_000) });
      for (const [i, key] of keys.entries()) {
        const partition = partitionFor(bed.file, key === undefined ? key : Buffer.from(key), 8);
        expected.set(partition, [...(expected.get(partition) ?? []), lines[i] ?? ""]);
      }
    }
    await bed.flush();
    bed.file.assertComplete();
    assert.equal(bed.sink.inFlightBytes, 0);
    assert.ok(expected.size > 2, "the keys go to different partitions");
    for (const [partition, lines] of expected) assert.deepEqual(cluster.log("t", partition).lines, lines);
  });

  it("goes on in a topic that was deleted and created again with fewer partitions", async () => {
    await using bed = await SinkBed.start();
    const { cluster } = bed;
    cluster.createTopic("t", 8);
    const old = partitionFor(bed.file, undefined, 8);
    assert.ok(old > 0);
    await bed.deliver(6);
    await bed.flush();
    assert.deepEqual(cluster.log("t", old).lines, bed.sent);
    cluster.deleteTopic("t");
    await bed.deliver(10);
    await bed.reason(/UNKNOWN_TOPIC_OR_PARTITION|does not exist/);
    cluster.createTopic("t", 1);
    await bed.flush();
    await bed.deliver(2);
    await bed.flush();
    bed.file.assertComplete();
    assert.deepEqual(cluster.log("t").lines, bed.sent.slice(6));
    assert.equal(bed.stamps()[0], "2/0/0", "under an id that no other queue uses there");
  });

  it("keeps order while a topic is deleted and created again with batches on their way", async () => {
    await using bed = await SinkBed.start();
    const { cluster } = bed;
    let old: readonly string[] = [];
    cluster.script = ({ lines }) => {
      if (lines[0]?.startsWith("8 ")) {
        old = cluster.log("t").lines;
        cluster.deleteTopic("t");
      }
      return lines[0]?.startsWith("8 ") ? { code: 3 } : undefined;
    };
    await bed.deliver(30);
    await bed.reason(/UNKNOWN_TOPIC_OR_PARTITION|does not exist/);
    cluster.script = () => undefined;
    cluster.createTopic("t");
    await bed.flush();
    bed.file.assertComplete();
    assert.deepEqual([...old, ...cluster.log("t").lines], bed.sent);
  });
});

describe("Kafka sink, lines that are refused", () => {
  const isHuge = ({ lines }: ProduceCall) => lines.some((line) => line.endsWith("HUGE"));

  it("cuts batches down to the line that is too large, keeps it, and goes on in order", async () => {
    const folder = temporaryFolder("dead-letters");
    const { log, lines: logged } = recordedLog();
    const dead = { deadLetterFolder: folder };
    await using bed = await SinkBed.start(dead, { deps: { logger: log } });
    bed.cluster.maxMessageBytes = 4_000;
    bed.cluster.script = (call) => (isHuge(call) ? { code: 10 } : undefined);
    await bed.deliver(25);
    await bed.deliver(1, "HUGE");
    await bed.deliver(50);
    await bed.flush();
    bed.file.assertComplete();
    assert.deepEqual(bed.cluster.log("t").lines, bed.sent.toSpliced(25, 1));
    const [letter, ...others] = readFileSync(path.join(folder, "t.jsonl"), "utf8").trim().split("\n");
    assert.deepEqual(others, []);
    const { pos, end, code, reason, bytes, path: from } = JSON.parse(letter ?? "");
    const [rejection] = bed.file.rejections;
    assert.deepEqual([pos, end, from], [rejection?.from, rejection?.to, bed.file.path]);
    assert.deepEqual([code, rejection?.reason], ["MESSAGE_TOO_LARGE", reason]);
    assert.equal(Buffer.from(bytes, "base64").toString(), "25 HUGE");
    assert.equal(logged.filter(({ msg }) => msg === "Lines were refused for good").length, 1);
    rmSync(folder, { recursive: true });
  });

  it("waits where the dead letters are full, stops no other topic, and goes on when they are taken away", async () => {
    const folder = temporaryFolder("dead-letters");
    await using bed = await SinkBed.start({ deadLetterFolder: folder, maxDeadLetterBytes: 500 });
    bed.cluster.createTopic("fine");
    bed.cluster.script = (call) => (isHuge(call) ? { code: 10 } : undefined);
    await bed.deliver(4);
    await bed.deliver(1, "HUGE");
    await bed.deliver(1, "HUGE");
    await bed.deliver(4);
    await bed.reason(/^Cannot keep a refused line of \d+ bytes: .*t\.jsonl holds \d+ of at most 500/);
    const fine = new RecordedFile("fine");
    await bed.sink.deliver(fine.next("fine", ["a"]), { signal: within(10_000) });
    await until(() => fine.settledLines === 1);
    assert.deepEqual([bed.file.rejections.length, bed.file.settledLines], [1, 5]);
    rmSync(path.join(folder, "t.jsonl"));
    await bed.flush();
    bed.file.assertComplete();
    assert.deepEqual(bed.cluster.log("t").lines, bed.sent.toSpliced(4, 2));
    rmSync(folder, { recursive: true });
  });
});

describe("Kafka sink, brokers that hold it up", () => {
  it("leaves a broker alone for as long as it asks for", async () => {
    const sleeps: number[] = [];
    let aheadMs = 0;
    // Long sleeps pass at once.
    const clock = {
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() + aheadMs,
      sleep: async (ms: number, options?: { readonly signal?: AbortSignal | undefined }) => {
        if (ms < 20_000) return await systemClock.sleep(ms, options);
        sleeps.push(ms);
        aheadMs += ms;
      },
    };
    await using bed = await SinkBed.start({}, { deps: { clock } });
    bed.cluster.throttleMs = 60_000;
    await bed.deliver(2);
    await bed.flush();
    assert.deepEqual(sleeps, []);
    bed.cluster.throttleMs = 0;
    await bed.deliver(2);
    await bed.flush();
    assert.equal(sleeps.length, 1);
    assert.ok((sleeps[0] ?? 0) > 50_000 && (sleeps[0] ?? 0) <= 60_000, `slept ${sleeps[0]} ms`);
    await bed.deliver(2);
    await bed.flush();
    assert.equal(sleeps.length, 1);
    bed.assertExactlyOnce();
    assert.deepEqual(bed.codes, []);
  });

  it("says that the login fails, loses nothing, and goes on when it is right", async () => {
    const { log, lines } = recordedLog();
    const sasl = { mechanism: "plain", username: "agent", password: "secret" } as const;
    await using bed = await SinkBed.start({ sasl }, { deps: { logger: log } });
    bed.cluster.password = "another";
    const delivered = bed.deliver(10);
    await bed.reason(/Cannot connect to Kafka broker .*: .*[Aa]uthentication failed/);
    await until(() => bed.codes.length >= 3);
    assert.deepEqual([...new Set(bed.codes)], ["SASL_AUTHENTICATION_FAILED"]);
    assert.equal(lines.filter(({ level }) => level === "error").length, 1, "logged once, not each time");
    bed.cluster.password = "secret";
    await delivered;
    await bed.flush();
    bed.assertExactlyOnce();
    assert.equal(lines.filter(({ msg }) => msg === "Delivery to a topic goes on").length, 1);
  });
});

describe("Kafka sink, closed", () => {
  it("ends at once at any moment, with batches on their way, waiting and being compressed", async () => {
    for (let turns = 0; turns < 40; turns++) {
      await using bed = await SinkBed.start({ compression: turns % 2 === 0 ? "zstd" : "none" });
      bed.cluster.script = async () => {
        await systemClock.sleep(1);
        return undefined;
      };
      await bed.deliver(40);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      await bed.sink.close();
      const settled = bed.file.settledLines;
      await systemClock.sleep(5);
      assert.equal(bed.file.settledLines, settled, "nothing is settled any more");
    }
  });
});
