import assert from "node:assert/strict";
import { appendFile, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, suite, test } from "node:test";
import { type AgentStatus, agentStatusSchema } from "../../conf/agent-status.ts";
import type { TaskStatus } from "../../logagent/task/types.ts";
import { StoreClient } from "../../store/client/client.ts";
import { DiskFaults, diskFaultsEnv } from "../support/disk-faults.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import {
  eventually,
  freePort,
  type RunningProcess,
  type StartOptions,
  spawnBin,
  temporaryFolder,
} from "../support/process.ts";

const signal = new AbortController().signal;
const LEASE_ENDS_MS = 60_000;

/** One agent with folders of its own, on a store that may be shared. */
class AgentBed {
  readonly folder = temporaryFolder("agent");
  readonly logs = path.join(this.folder, "logs");
  readonly out = path.join(this.folder, "out");
  readonly configFile = path.join(this.folder, "agent.yaml");
  readonly ip: string;
  httpPort = 0;

  constructor(ip: string) {
    this.ip = ip;
  }

  get configKey(): string {
    return `/logagent/${this.ip}/collect_config`;
  }

  get statusKey(): string {
    return `/logagent/${this.ip}/status`;
  }

  async prepare(endpoint: string): Promise<void> {
    await mkdir(this.logs, { recursive: true });
    this.httpPort = await freePort();
    const text = [
      `ip: ${this.ip}`,
      `store: { endpoints: ["${endpoint}"] }`,
      `sink: { type: file, path: ${this.out} }`,
      `dataDir: ${path.join(this.folder, "data")}`,
      `allow: ["${this.logs}/**"]`,
      `http: 127.0.0.1:${this.httpPort}`,
      "shutdown: { drainMs: 5000 }",
    ];
    await writeFile(this.configFile, `${text.join("\n")}\n`);
  }

  start(options: StartOptions = {}): Promise<RunningProcess> {
    return spawnBin("logagent", ["run", "--config", this.configFile], {
      readyLine: "agent started",
      ...options,
    });
  }

  entry(name: string, topic: string): { readonly path: string; readonly topic: string } {
    return { path: path.join(this.logs, name), topic };
  }

  append(name: string, text: string): Promise<void> {
    return appendFile(path.join(this.logs, name), text);
  }

  async tasks(): Promise<readonly TaskStatus[]> {
    const response = await fetch(`http://127.0.0.1:${this.httpPort}/tasks`);
    return ((await response.json()) as { readonly tasks: readonly TaskStatus[] }).tasks;
  }

  /** What arrived for a topic: the file sink keeps a file for each. */
  async delivered(topic: string): Promise<string> {
    return readFile(path.join(this.out, `${topic}.log`), "utf8").catch(() => "");
  }

  async status(client: StoreClient): Promise<AgentStatus> {
    const { kv } = await client.get(this.statusKey, { signal });
    assert.ok(kv, `${this.statusKey} is there`);
    assert.notEqual(kv.lease, 0n);
    return agentStatusSchema.parse(JSON.parse(kv.value.toString()));
  }
}

suite("logagent run, with etcd as its store", () => {
  let etcd: EtcdServer;
  let client: StoreClient;
  before(async () => {
    etcd = await startEtcd();
    client = StoreClient.create({ endpoints: [etcd.endpoint] });
  });
  after(async () => {
    client.close();
    await etcd.stop();
  });

  const putConfig = async (bed: AgentBed, value: unknown): Promise<number> => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return (await client.put(bed.configKey, text, { signal })).header.revision;
  };

  test("a put starts a task, a second one adds, replaces and stops tasks, and lines arrive once", async () => {
    const bed = new AgentBed("e2e-put");
    await bed.prepare(etcd.endpoint);
    await using agent = await bed.start();
    await agent.waitForLine("agent is ready");
    await bed.append("a.log", "a1\na2\n");
    await bed.append("b.log", "b1\n");

    await putConfig(bed, [bed.entry("a.log", "topic-a"), bed.entry("b.log", "topic-b")]);
    await eventually(async () => {
      assert.equal(await bed.delivered("topic-a"), "a1\na2\n");
      assert.equal(await bed.delivered("topic-b"), "b1\n");
    });

    const revision = await putConfig(bed, [bed.entry("c.log", "topic-c"), bed.entry("a.log", "moved")]);
    await bed.append("a.log", "a3\n");
    await bed.append("b.log", "b2\n");
    await bed.append("c.log", "c1\n");
    await eventually(async () => {
      assert.equal(await bed.delivered("moved"), "a3\n");
      assert.equal(await bed.delivered("topic-c"), "c1\n");
      assert.deepEqual((await bed.tasks()).map((task) => task.topic).sort(), ["moved", "topic-c"]);
    });
    assert.equal(await bed.delivered("topic-a"), "a1\na2\n");
    assert.equal(await bed.delivered("topic-b"), "b1\n");
    await eventually(async () => assert.equal((await bed.status(client)).config.applied, revision));

    await client.delete(bed.configKey, { signal });
    await eventually(async () => assert.deepEqual(await bed.tasks(), []));
  });

  test("a refused config changes nothing, and status says which revision and why", async () => {
    const bed = new AgentBed("e2e-refused");
    await bed.prepare(etcd.endpoint);
    const good = await putConfig(bed, [bed.entry("a.log", "t")]);
    await bed.append("a.log", "1\n");
    await using agent = await bed.start({ readyLine: "agent is ready" });
    await eventually(async () => assert.equal(await bed.delivered("t"), "1\n"));

    const outside = { path: "/etc/passwd", topic: "t" };
    for (const [value, reason] of [
      ["{", "not JSON at line 1, column 2: the text ends"],
      ["", "the value is empty"],
      ["{}", "the value is an object, expected a list of entries"],
      [[bed.entry("a.log", "t"), { path: bed.logs }], 'field "topic" is missing'],
      [[{ ...bed.entry("b.log", "t"), form: "end" }], 'unknown field "form", did you mean "from"?'],
      [
        [bed.entry("b.log", "t"), outside],
        `the path is not inside allow, expected a path inside ${bed.logs}/**`,
      ],
      [[bed.entry("b.log", "t"), bed.entry("b.log", "u")], "the same path is in entry 1"],
    ] as const) {
      const revision = await putConfig(bed, value);
      await eventually(async () => {
        const { config } = await bed.status(client);
        assert.equal(config.applied, good);
        assert.equal(config.failed?.revision, revision);
        assert.ok(config.failed.reason.includes(reason), config.failed.reason);
      });
      assert.deepEqual(
        (await bed.tasks()).map((task) => [path.basename(task.path), task.state]),
        [["a.log", "running"]],
      );
    }
    await bed.append("a.log", "2\n");
    await eventually(async () => assert.equal(await bed.delivered("t"), "1\n2\n"));
    assert.doesNotMatch(agent.output(), /"tasks changed".*"replace":[1-9]/);

    const revision = await putConfig(bed, []);
    await eventually(async () => assert.deepEqual((await bed.status(client)).config, { applied: revision }));
  });

  test("a stopped agent's status is gone at once, and the next one resumes at its checkpoints", async () => {
    const bed = new AgentBed("e2e-stop");
    await bed.prepare(etcd.endpoint);
    await putConfig(bed, [bed.entry("a.log", "t")]);
    await bed.append("a.log", "1\n");
    for (const expected of ["1\n", "1\n2\n"]) {
      const agent = await bed.start({ readyLine: "agent is ready" });
      await eventually(async () => assert.equal(await bed.delivered("t"), expected));
      await eventually(() => bed.status(client));
      assert.deepEqual(await agent.stop(), { code: 0, signal: null });
      assert.equal((await client.get(bed.statusKey, { signal })).kv, undefined);
      assert.match(agent.output(), /"agent stopped"/);
      await bed.append("a.log", "2\n");
    }
  });

  test("an agent that was killed takes its status key over; another agent of that identity is reported", async () => {
    const bed = new AgentBed("e2e-twice");
    await bed.prepare(etcd.endpoint);
    const killed = await bed.start();
    const first = await eventually(() => bed.status(client));
    await killed.kill();
    await using agent = await bed.start();
    await eventually(async () => assert.notEqual((await bed.status(client)).startedAt, first.startedAt));
    assert.doesNotMatch(agent.output(), /same identity/);

    const twin = new AgentBed(bed.ip);
    await twin.prepare(etcd.endpoint);
    await using second = await twin.start();
    const line = await second.waitForLine("another agent has the same identity");
    assert.equal((JSON.parse(line) as { level: number }).level, 50);
    const ready = await fetch(`http://127.0.0.1:${twin.httpPort}/readyz`);
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /identity e2e-twice is in use by another agent/);
    await agent.stop();
    await second.waitForLine("the identity is this agent's alone again");
  });

  test("a second agent on the same data folder is refused", async () => {
    const bed = new AgentBed("e2e-lock");
    await bed.prepare(etcd.endpoint);
    await using agent = await bed.start();
    const refused = await bed.start({ readyLine: /Cannot use data folder/ });
    assert.deepEqual(await refused.exited, { code: 1, signal: null });
    assert.match(
      refused.output(),
      new RegExp(`Cannot use data folder .*: process ${agent.pid} is using it, expected no other owner`),
    );
  });

  test("a data folder of a newer version is refused", async () => {
    for (const name of ["last-good.json", "identity.json"]) {
      const bed = new AgentBed("auto");
      await bed.prepare(etcd.endpoint);
      await mkdir(path.join(bed.folder, "data"));
      await writeFile(path.join(bed.folder, "data", name), '{"version":99}');
      const refused = await bed.start({ readyLine: `${name}: format version 99, expected 1 or less` });
      assert.equal((await refused.exited).code, 1);
    }
  });

  test("of many configs in a row the last one counts, and what is in all of them is not touched", async () => {
    const bed = new AgentBed("e2e-burst");
    await bed.prepare(etcd.endpoint);
    await using agent = await bed.start({ readyLine: "agent is ready" });
    await bed.append("stays.log", "s\n");
    let revision = 0;
    for (let round = 0; round < 50; round += 1) {
      await bed.append(`${round % 7}.log`, `${round}\n`);
      const changing = [
        bed.entry(`${round % 7}.log`, `t${round % 3}`),
        bed.entry(`${(round + 1) % 7}.log`, "next"),
      ];
      revision = await putConfig(bed, [...changing, bed.entry("stays.log", "stays")]);
    }
    await eventually(async () => {
      const tasks = await bed.tasks();
      assert.deepEqual(tasks.map((task) => [path.basename(task.path), task.topic, task.state]).sort(), [
        ["0.log", "t1", "running"],
        ["1.log", "next", "running"],
        ["stays.log", "stays", "running"],
      ]);
      assert.equal((await bed.status(client)).config.applied, revision);
    });
    const starts = agent.output().match(/"tasks changed"/g)?.length ?? 0;
    assert.ok(starts > 1 && starts <= 51, `${starts} changes`);
    await eventually(async () => assert.equal(await bed.delivered("stays"), "s\n"));
    // Every line once, whichever of the topics had its file at the time.
    await eventually(async () => {
      const shipped = await Promise.all(["t0", "t1", "t2", "next"].map((topic) => bed.delivered(topic)));
      const lines = shipped.join("").trimEnd().split("\n").map(Number);
      const tailed = new Set(["0.log", "1.log"]);
      const expected = Array.from({ length: 50 }, (_, n) => n).filter((n) => tailed.has(`${n % 7}.log`));
      for (const line of expected) assert.ok(lines.includes(line), `line ${line} arrived`);
      assert.equal(new Set(lines).size, lines.length, "no line arrived twice");
    });
  });

  test("SIGTERM waits for acknowledgements within its limit, a second signal does not wait", async () => {
    const bed = new AgentBed("e2e-drain");
    await bed.prepare(etcd.endpoint);
    await bed.append("a.log", "1\n");
    await putConfig(bed, [bed.entry("a.log", "t")]);
    // A destination that takes lines and never has room for them.
    await mkdir(bed.out);
    await symlink("/dev/full", path.join(bed.out, "t.log"));
    const isStuck = () =>
      eventually(async () => {
        const [task] = await bed.tasks();
        assert.deepEqual([task?.state, task?.bytesRead, task?.bytesAcked], ["waiting", 2, 0]);
      });

    const patient = await bed.start({
      env: { LOGAGENT_SHUTDOWN_DRAIN_MS: "700" },
      readyLine: "agent is ready",
    });
    await isStuck();
    const ready = await fetch(`http://127.0.0.1:${bed.httpPort}/readyz`);
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /^sink not reachable: .*ENOSPC/);
    assert.deepEqual(await patient.stop(), { code: 0, signal: null });
    assert.match(patient.output(), /"drainMs":700.*not everything was acknowledged in time/);

    const hurried = await bed.start({
      env: { LOGAGENT_SHUTDOWN_DRAIN_MS: "600000" },
      readyLine: "agent is ready",
    });
    await isStuck();
    process.kill(hurried.pid, "SIGTERM");
    await hurried.waitForLine('"msg":"stopping"');
    process.kill(hurried.pid, "SIGINT");
    await hurried.waitForLine('"msg":"stopping at once"');
    assert.deepEqual(await hurried.exited, { code: 0, signal: null });

    await rm(path.join(bed.out, "t.log"));
    await using again = await bed.start({ readyLine: "agent is ready" });
    await eventually(async () => assert.equal(await bed.delivered("t"), "1\n"));
    assert.doesNotMatch(again.output(), /"level":50/);
  });

  for (const [what, isFull] of [
    ["the agent's own", (bed: AgentBed) => path.join(bed.folder, "data")],
    ["the file sink's", (bed: AgentBed) => bed.out],
  ] as const) {
    test(`${what} disk is full: that is said, what can go on does, and nothing is lost or sent twice`, async () => {
      const bed = new AgentBed(`e2e-full-${what.length}`);
      await bed.prepare(etcd.endpoint);
      const folder = isFull(bed);
      const isOut = folder === bed.out;
      const faults = new DiskFaults(bed.folder);
      await bed.append("a.log", "1\n");
      await putConfig(bed, [bed.entry("a.log", "t")]);
      const agent = await bed.start({ env: diskFaultsEnv(folder), readyLine: "agent is ready" });
      const ready = async () => {
        const response = await fetch(`http://127.0.0.1:${bed.httpPort}/readyz`);
        return { code: response.status, text: await response.text() };
      };
      await eventually(async () => assert.equal(await bed.delivered("t"), "1\n"));
      assert.equal((await ready()).code, 200);
      faults.full(0);
      await bed.append("a.log", "2\n");
      const missing = isOut
        ? /^sink not reachable: .*t\.log: .*ENOSPC/
        : /^checkpoints not writable: .*ENOSPC/;
      await eventually(async () => {
        const { code, text } = await ready();
        assert.equal(code, 503);
        assert.match(text, missing);
      });
      await bed.append("a.log", "3\n");
      if (!isOut) await eventually(async () => assert.equal(await bed.delivered("t"), "1\n2\n3\n"));
      if (!isOut) {
        assert.match(agent.output(), /"level":50.*checkpoints cannot be written/);
        await putConfig(bed, [bed.entry("a.log", "t"), bed.entry("b.log", "b")]);
        await eventually(async () =>
          assert.match((await ready()).text, /^last good config not writable: .*ENOSPC/m),
        );
      }
      faults.heal();
      await eventually(async () => {
        assert.equal((await ready()).code, 200);
        assert.equal(await bed.delivered("t"), "1\n2\n3\n");
      });
      if (!isOut) {
        assert.match(await readFile(path.join(folder, "last-good.json"), "utf8"), /b\.log/);
        assert.ok(!(await readdir(folder)).includes("last-good.json.tmp"));
      }
      assert.deepEqual(await agent.stop(), { code: 0, signal: null });
      await using again = await bed.start({ readyLine: "agent is ready" });
      await bed.append("a.log", "4\n");
      await eventually(async () => assert.equal(await bed.delivered("t"), "1\n2\n3\n4\n"));
      assert.doesNotMatch(again.output(), /"level":50/);
    });
  }

  test("a broker that is away ends no start, and holds up no stop when nothing was taken", async () => {
    const bed = new AgentBed("e2e-broker");
    await bed.prepare(etcd.endpoint);
    await bed.append("a.log", "1\n");
    await putConfig(bed, [bed.entry("a.log", "t")]);
    const broker = `127.0.0.1:${await freePort()}`;
    const env = { LOGAGENT_SINK_TYPE: "kafka", LOGAGENT_SINK_BROKERS: broker };
    await using agent = await bed.start({ env, readyLine: "agent is ready" });
    await eventually(async () => {
      const [task] = await bed.tasks();
      assert.equal(task?.state, "waiting");
      assert.match(task.problems[0] ?? "", new RegExp(`Kafka broker ${broker}.*ECONNREFUSED`));
    });
    const metrics = await (await fetch(`http://127.0.0.1:${bed.httpPort}/metrics`)).text();
    assert.match(metrics, /^logagent_sink_errors_total\{topic="t",code="ECONNREFUSED"\} [1-9]/m);
    await rm(path.join(bed.logs, "a.log"));
    assert.deepEqual(await agent.stop(), { code: 0, signal: null });
    assert.match(
      agent.output(),
      /"level":50.*"files":1,"bytes":2,"first":".*a\.log","msg":"deleted files are let go/,
    );
  });

  test("a port in use, and a data folder that cannot be, end the start with a sentence", async () => {
    const bed = new AgentBed("e2e-port");
    await bed.prepare(etcd.endpoint);
    await using _agent = await bed.start();
    const other = new AgentBed("e2e-port-2");
    await other.prepare(etcd.endpoint);
    const env = { LOGAGENT_HTTP: `127.0.0.1:${bed.httpPort}` };
    const refused = await other.start({ env, readyLine: "the port is in use, expected a free one" });
    assert.equal((await refused.exited).code, 1);
    const unwritable = await other.start({
      env: { LOGAGENT_DATA_DIR: path.join(other.configFile, "data") },
      readyLine:
        /Cannot use data folder .*agent\.yaml\/data: ENOTDIR.*expected a folder that this user may write/,
    });
    assert.equal((await unwritable.exited).code, 1);
  });
});

suite("logagent run, with its store away", () => {
  test("starts with the last good config, and takes the new one when the store is back", async () => {
    const etcd = await startEtcd();
    const client = StoreClient.create({ endpoints: [etcd.endpoint] });
    try {
      const bed = new AgentBed("e2e-away");
      await bed.prepare(etcd.endpoint);
      const first = (await client.put(bed.configKey, JSON.stringify([bed.entry("a.log", "t")]), { signal }))
        .header.revision;
      await bed.append("a.log", "1\n");
      const before = await bed.start({ readyLine: "agent is ready" });
      await eventually(async () => assert.equal(await bed.delivered("t"), "1\n"));

      await etcd.kill();
      await bed.append("a.log", "2\n");
      await eventually(async () => assert.equal(await bed.delivered("t"), "1\n2\n"));
      await before.kill();

      await using agent = await bed.start({ readyLine: "last good config used" });
      await bed.append("a.log", "3\n");
      await eventually(async () => assert.match(await bed.delivered("t"), /3\n$/));
      const ready = await fetch(`http://127.0.0.1:${bed.httpPort}/readyz`);
      assert.equal(ready.status, 200);

      await etcd.restart();
      const status = await eventually(() => bed.status(client), { timeoutMs: LEASE_ENDS_MS });
      assert.equal(status.config.applied, first);
      const entries = [bed.entry("a.log", "t"), bed.entry("b.log", "u")];
      await bed.append("b.log", "b\n");
      await client.put(bed.configKey, JSON.stringify(entries), { signal });
      await eventually(async () => assert.equal(await bed.delivered("u"), "b\n"));
      assert.doesNotMatch(agent.output(), /"level":50/);
    } finally {
      client.close();
      await etcd.stop();
    }
  });

  test("a running agent follows the config through the store's crash, and reads again what was compacted", async () => {
    const etcd = await startEtcd();
    const client = StoreClient.create({ endpoints: [etcd.endpoint] });
    try {
      const bed = new AgentBed("e2e-crash");
      await bed.prepare(etcd.endpoint);
      await using _agent = await bed.start({ readyLine: "agent is ready" });
      for (const round of [1, 2]) {
        await etcd.kill();
        await etcd.restart();
        const topic = `t${round}`;
        await bed.append(`${round}.log`, `${round}\n`);
        const { header } = await client.put(
          bed.configKey,
          JSON.stringify([bed.entry(`${round}.log`, topic)]),
          {
            signal,
          },
        );
        if (round === 2) await client.compact(header.revision, { signal });
        await eventually(async () => assert.equal(await bed.delivered(topic), `${round}\n`), {
          timeoutMs: LEASE_ENDS_MS,
        });
      }
    } finally {
      client.close();
      await etcd.stop();
    }
  });
});
