import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { openSink } from "../../logagent/sink/open-sink.ts";
import type { SinkDeps, SinkOptions } from "../../logagent/sink/options.ts";
import type { Sink } from "../../logagent/sink/port.ts";
import { RecordedFile, testDeps } from "../logagent/sink/recorded-file.ts";
import { sinkOptions } from "../logagent/sink/sink-options.ts";
import { consumeAll } from "../support/consume.ts";
import { type KafkaServer, startKafka, uniqueTopic, withAdmin } from "../support/kafka.ts";
import { eventually, freePort, temporaryFolder } from "../support/process.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const within = (ms: number) => AbortSignal.timeout(ms);
const user = { mechanism: "plain", username: "agent", password: "secret" } as const;

/** A broker with a listener behind a proxy, one with TLS and a login, and one whose logins run out, beside the plain one. */
async function startBroker() {
  const [port, controllerPort, backPort, proxyPort, securePort, briefPort] = await Promise.all(
    Array.from({ length: 6 }, freePort),
  );
  const folder = temporaryFolder("sink-tls");
  const cert = path.join(folder, "cert.pem");
  const key = path.join(folder, "key.pem");
  const keystore = path.join(folder, "keystore.pem");
  const subject = ["-days", "2", "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...files, ...subject], {
    stdio: "pipe",
  });
  writeFileSync(keystore, Buffer.concat([readFileSync(key), readFileSync(cert)]));
  const login = `org.apache.kafka.common.security.plain.PlainLoginModule required user_${user.username}="${user.password}";`;
  const names = {
    PLAINTEXT: port,
    BEHIND: backPort,
    SECURE: securePort,
    BRIEF: briefPort,
    CONTROLLER: controllerPort,
  };
  const listeners = Object.entries(names).map(([name, at]) => `${name}://127.0.0.1:${at}`);
  const kafka = await startKafka({
    own: true,
    port: port as number,
    settings: {
      listeners: listeners.join(","),
      "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
      "advertised.listeners": `PLAINTEXT://127.0.0.1:${port},BEHIND://127.0.0.1:${proxyPort},SECURE://127.0.0.1:${securePort},BRIEF://127.0.0.1:${briefPort}`,
      "listener.security.protocol.map":
        "PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,SECURE:SASL_SSL,BRIEF:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
      "inter.broker.listener.name": "PLAINTEXT",
      "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
      "listener.name.secure.plain.sasl.jaas.config": login,
      "listener.name.brief.sasl.enabled.mechanisms": "PLAIN",
      "listener.name.brief.plain.sasl.jaas.config": login,
      // A login runs out: the client logs in again on the connection that stands (KIP-368).
      "listener.name.brief.plain.connections.max.reauth.ms": "1500",
      "listener.name.secure.ssl.keystore.type": "PEM",
      "listener.name.secure.ssl.keystore.location": keystore,
    },
  });
  const proxy = await TcpProxy.start(`http://127.0.0.1:${backPort}`, { port: proxyPort as number });
  return {
    kafka,
    proxy,
    behind: [`127.0.0.1:${proxyPort}`],
    secure: [`127.0.0.1:${securePort}`],
    brief: [`127.0.0.1:${briefPort}`],
    cert,
  };
}

function open(options: Partial<SinkOptions>, deps: Partial<SinkDeps> = {}): Sink {
  return openSink(sinkOptions({ brokers: [], ...options }), testDeps(deps));
}

/** The reason why a topic waits, once it does. */
async function reasonOf(sink: Sink, topic: string): Promise<string> {
  for (let i = 0; i < 750; i++) {
    const status = sink.topic(topic);
    if (status.kind === "waiting") return status.reason;
    await sleep(20);
  }
  return assert.fail(`topic ${topic} is ${sink.topic(topic).kind} after 15 s, expected it to wait`);
}

async function textsOf(kafka: KafkaServer, topic: string): Promise<readonly string[]> {
  return (await consumeAll({ brokers: kafka.brokers, topic })).map(({ value }) => value.toString());
}

describe("Kafka sink in trouble", () => {
  let broker: Awaited<ReturnType<typeof startBroker>>;
  before(async () => {
    broker = await startBroker();
  });
  after(async () => {
    await broker.proxy[Symbol.asyncDispose]();
    await broker.kafka.stop();
  });

  async function newTopic(configs: Readonly<Record<string, string>> = {}): Promise<string> {
    const topic = uniqueTopic("trouble");
    await broker.kafka.createTopic(topic, { configs });
    return topic;
  }

  it("says ETIMEDOUT of a broker that is mute from the start", async () => {
    const topic = await newTopic();
    const codes: string[] = [];
    const observer = { onError: ({ code }: { code: string }) => void codes.push(code) };
    broker.proxy.isMute = true;
    try {
      await using sink = open({ brokers: broker.behind, requestTimeoutMs: 1_200 }, { observer });
      // Waits for what is asked of the topic first.
      const delivery = sink.deliver(new RecordedFile(topic).next(topic, ["1"]), { signal: within(20_000) });
      assert.match(await reasonOf(sink, topic), /Kafka broker .*timed out/);
      assert.deepEqual([...new Set(codes)], ["ETIMEDOUT"]);
      broker.proxy.isMute = false;
      broker.proxy.cut();
      await delivery;
      await sink.flush({ signal: within(20_000) });
    } finally {
      broker.proxy.isMute = false;
      broker.proxy.cut();
    }
  });

  it("ends a connection that is open and mute, and sends again", async () => {
    const topic = await newTopic();
    const codes: string[] = [];
    const observer = { onError: ({ code }: { code: string }) => void codes.push(code) };
    await using sink = open({ brokers: broker.behind, requestTimeoutMs: 1_200 }, { observer });
    const file = new RecordedFile(topic);
    await sink.deliver(file.next(topic, ["1"]), { signal: within(10_000) });
    await sink.flush({ signal: within(10_000) });
    const closedBefore = broker.proxy.closedByClient;
    broker.proxy.isMute = true;
    try {
      await sink.deliver(file.next(topic, ["2"]), { signal: within(10_000) });
      assert.match(
        await reasonOf(sink, topic),
        /Lost Kafka broker .* before it confirmed: no answer to a request for \d+ ms/,
      );
      assert.ok(codes.includes("ETIMEDOUT"));
      // The proxy hears of it a moment later.
      await eventually(() =>
        assert.ok(broker.proxy.closedByClient > closedBefore, "the mute connection was closed"),
      );
      assert.equal(file.settledLines, 1);
    } finally {
      broker.proxy.isMute = false;
      // Connections whose answers were swallowed are of no use any more.
      broker.proxy.cut();
    }
    await sink.deliver(file.next(topic, ["3"]), { signal: within(20_000) });
    await sink.flush({ signal: within(20_000) });
    file.assertComplete();
    assert.deepEqual(await textsOf(broker.kafka, topic), ["1", "2", "3"]);
  });

  it("waits with a reason while the broker accepts and never answers", async () => {
    const topic = await newTopic();
    await using sink = open({ brokers: broker.behind, requestTimeoutMs: 800 });
    broker.proxy.isMute = true;
    const file = new RecordedFile(topic);
    const delivered = sink.deliver(file.next(topic, ["1"]), { signal: within(20_000) });
    try {
      assert.match(await reasonOf(sink, topic), /gave no answer.*timed out/i);
    } finally {
      broker.proxy.isMute = false;
      broker.proxy.cut();
    }
    await delivered;
    await sink.flush({ signal: within(20_000) });
    file.assertComplete();
  });

  it("writes each line once and in order when connections break at any time", async () => {
    const topic = await newTopic();
    await using sink = open({ brokers: broker.behind, compression: "zstd" });
    const files = [0, 1, 2].map((i) => new RecordedFile(`${topic}-${i}`));
    const sent: string[] = [];
    for (let round = 0; round < 60; round++) {
      for (const file of files) {
        const lines = Array.from(
          { length: 200 },
          (_, i) => `${file.id} ${String(round * 200 + i).padStart(6, "0")}`,
        );
        sent.push(...lines);
        await sink.deliver(file.next(topic, lines), { signal: within(30_000) });
      }
      if (round % 12 === 5) broker.proxy.cut();
      await sleep(5);
    }
    await sink.flush({ signal: within(30_000) });
    const texts = await textsOf(broker.kafka, topic);
    assert.equal(texts.length, sent.length);
    for (const file of files) {
      file.assertComplete();
      const own = texts.filter((text) => text.startsWith(`${file.id} `));
      assert.deepEqual(own, own.toSorted());
    }
  });

  it("creates a missing topic when it is told to", async () => {
    const topic = uniqueTopic("created");
    await using sink = open({ brokers: broker.kafka.brokers, createTopics: true });
    const file = new RecordedFile(topic);
    await sink.deliver(file.next(topic, ["first"]), { signal: within(20_000) });
    await sink.flush({ signal: within(20_000) });
    assert.deepEqual(await textsOf(broker.kafka, topic), ["first"]);
  });

  it("goes on with a topic that was deleted and created again", async () => {
    const topic = await newTopic();
    await using sink = open({ brokers: broker.kafka.brokers });
    const file = new RecordedFile(topic);
    await sink.deliver(file.next(topic, ["old"]), { signal: within(20_000) });
    await sink.flush({ signal: within(20_000) });
    await withAdmin(broker.kafka.brokers, (admin) => admin.deleteTopics({ topics: [topic] }));
    await sink.deliver(file.next(topic, ["new"]), { signal: within(20_000) });
    assert.match(await reasonOf(sink, topic), /UNKNOWN_TOPIC_OR_PARTITION|does not exist/);
    await broker.kafka.createTopic(topic);
    await sink.flush({ signal: within(20_000) });
    file.assertComplete();
    assert.deepEqual(await textsOf(broker.kafka, topic), ["new"]);
  });

  it("says which broker has no address, and which refuses", async () => {
    const refused = await freePort();
    await using sink = open({ brokers: [`nosuch.invalid:9092`, `127.0.0.1:${refused}`] });
    const file = new RecordedFile("nobody");
    await assert.rejects(sink.deliver(file.next("nobody", ["x"]), { signal: within(3_000) }), {
      name: "TimeoutError",
    });
    const reason = await reasonOf(sink, "nobody");
    assert.match(
      reason,
      new RegExp(`^Cannot reach any Kafka broker of nosuch\\.invalid:9092,127\\.0\\.0\\.1:${refused}: `),
    );
    assert.match(
      reason,
      /Cannot connect to Kafka broker nosuch\.invalid:9092: getaddrinfo (ENOTFOUND|EAI_AGAIN) nosuch\.invalid/,
    );
    assert.match(
      reason,
      new RegExp(`Cannot connect to Kafka broker 127\\.0\\.0\\.1:${refused}: connect ECONNREFUSED`),
    );
  });

  it("makes no batch larger than the topic takes", async () => {
    const topic = await newTopic({ "max.message.bytes": "3000" });
    const codes: string[] = [];
    const observer = { onError: ({ code }: { code: string }) => void codes.push(code) };
    await using sink = open({ brokers: broker.kafka.brokers }, { observer });
    const file = new RecordedFile(topic);
    const lines = Array.from({ length: 500 }, (_, i) => `${i} ${"l".repeat(i % 150)}`);
    await sink.deliver(file.next(topic, lines), { signal: within(20_000) });
    await sink.flush({ signal: within(20_000) });
    assert.deepEqual(await textsOf(broker.kafka, topic), lines);
    assert.deepEqual(codes, []);
  });

  it("cuts a batch that has become too large, and refuses only the line that is", async () => {
    const topic = await newTopic();
    const { log, lines: logged } = recordedLog();
    await using sink = open({ brokers: broker.kafka.brokers }, { logger: log });
    const file = new RecordedFile(topic);
    await sink.deliver(file.next(topic, ["0"]), { signal: within(20_000) });
    await sink.flush({ signal: within(20_000) });
    await withAdmin(broker.kafka.brokers, (admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: kafkajs.ConfigResourceTypes.TOPIC,
            name: topic,
            configEntries: [{ name: "max.message.bytes", value: "1500" }],
          },
        ],
      }),
    );
    const lines = Array.from({ length: 300 }, (_, i) => `${i + 1} ${"m".repeat(i === 150 ? 5_000 : 40)}`);
    await sink.deliver(file.next(topic, lines), { signal: within(20_000) });
    await sink.flush({ signal: within(20_000) });
    file.assertComplete();
    assert.deepEqual(await textsOf(broker.kafka, topic), ["0", ...lines.toSpliced(150, 1)]);
    assert.equal(file.rejections.length, 1);
    const errors = logged.filter(({ level }) => level === "error");
    assert.equal(errors.length, 1);
    assert.equal(errors[0]?.msg, "Lines were refused for good");
  });

  it("waits with the reason where the broker refuses for good, and others go on", async () => {
    const [compacted, fine] = [await newTopic({ "cleanup.policy": "compact" }), await newTopic()];
    await using sink = open({ brokers: broker.kafka.brokers });
    const [held, free] = [new RecordedFile("held"), new RecordedFile("free")];
    await sink.deliver(held.next(compacted, ["no key"]), { signal: within(20_000) });
    assert.match(
      await reasonOf(sink, compacted),
      /^Cannot deliver to partition 0 of topic \S+ on \S+: INVALID_RECORD \(/,
    );
    await sink.deliver(free.next(fine, ["a"]), { signal: within(20_000) });
    await sleep(100);
    free.assertComplete();
    assert.equal(held.settledLines, 0);
    await assert.rejects(sink.deliver(held.next(compacted, ["more"]), { signal: within(200) }), {
      name: "TimeoutError",
    });
  });

  it("warns once of a topic whose lines one broker can lose", async () => {
    const topic = await newTopic();
    const { log, lines } = recordedLog();
    await using sink = open({ brokers: broker.kafka.brokers }, { logger: log });
    const file = new RecordedFile(topic);
    for (const text of ["1", "2"]) await sink.deliver(file.next(topic, [text]), { signal: within(20_000) });
    await sink.flush({ signal: within(20_000) });
    assert.deepEqual(sink.topic(topic), {
      kind: "ready",
      warnings: ["one replica", "min.insync.replicas 1"],
    });
    const warnings = lines.filter(({ level }) => level === "warn").map(({ warning }) => warning);
    assert.deepEqual(warnings, ["one replica", "min.insync.replicas 1"]);
  });

  it("writes each line once and in order while its login runs out again and again", async () => {
    const topic = await newTopic();
    await using sink = open({ brokers: broker.brief, sasl: user });
    const file = new RecordedFile(topic);
    const sent: string[] = [];
    const endMs = performance.now() + 4_000;
    while (performance.now() < endMs) {
      const lines = Array.from({ length: 3_000 }, (_, i) => `${sent.length + i} ${"l".repeat(200)}`);
      sent.push(...lines);
      await sink.deliver(file.next(topic, lines), { signal: within(20_000) });
      await sleep(10);
    }
    await sink.flush({ signal: within(20_000) });
    file.assertComplete();
    assert.deepEqual(await textsOf(broker.kafka, topic), sent);
  });

  for (const type of ["kafka", "kafkajs"] as const) {
    it(`speaks TLS and logs in (${type})`, async () => {
      const topic = await newTopic();
      const tls = { enabled: true, ca: broker.cert };
      await using sink = open({ type, brokers: broker.secure, tls, sasl: user });
      const file = new RecordedFile(topic);
      const lines = Array.from({ length: 20_000 }, (_, i) => `${i} ${"t".repeat(100)}`);
      await sink.deliver(file.next(topic, lines), { signal: within(20_000) });
      await sink.flush({ signal: within(20_000) });
      assert.deepEqual(await textsOf(broker.kafka, topic), lines);
    });

    it(`says when the login fails, the certificate or its file (${type})`, async () => {
      const cases = [
        [{ enabled: true, ca: broker.cert }, { ...user, password: "wrong" }, /SASL|[Aa]uthentication failed/],
        [{ enabled: true }, user, /self.signed certificate/],
        [
          { enabled: true, ca: "/no/such/ca.pem" },
          user,
          /Cannot read sink\.tls\.ca \/no\/such\/ca\.pem: ENOENT/,
        ],
      ] as const;
      for (const [tls, sasl, expected] of cases) {
        await using sink = open({ type, brokers: broker.secure, tls, sasl });
        const file = new RecordedFile("secret");
        const waiting = sink.deliver(file.next("secret", ["x"]), { signal: within(2_000) });
        waiting.catch(() => undefined);
        assert.match(await reasonOf(sink, "secret"), expected);
      }
    });
  }
});
