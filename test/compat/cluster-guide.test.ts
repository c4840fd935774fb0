import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { StoreClient } from "../../store/client/client.ts";
import { eventually } from "../support/process.ts";
import { ctl, GuideMachine, healthy, memberList, printedVariables, tryCtl } from "./guide-machines.ts";

/**
 * The commands of etcd's operations guide ("Clustering Guide", "Runtime reconfiguration"), with logstore in etcd's place and
 * driven by the real etcdctl: names, tokens, flags and ETCD_* variables are the guide's, the addresses are of this machine.
 */
const machine = (index: number) => new GuideMachine(`infra${index}`, index);
const signal = AbortSignal.timeout(150_000);

const WRITE_PAUSE_MS = 25;

/** Puts key after key through any of the machines, and keeps those that were acknowledged. */
class Writer {
  readonly acknowledged: string[] = [];
  readonly #machines: readonly GuideMachine[];
  readonly #stopping = new AbortController();
  #running = Promise.resolve();

  constructor(machines: readonly GuideMachine[]) {
    this.#machines = machines;
  }

  start(): void {
    this.#running = this.#write();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #write(): Promise<void> {
    using client = StoreClient.create({ endpoints: this.#machines.map(({ clientUrl }) => clientUrl) });
    for (let count = 0; !this.#stopping.signal.aborted; count += 1) {
      const key = `guide/${String(count).padStart(6, "0")}`;
      try {
        await client.put(key, "x", { signal });
        this.acknowledged.push(key);
      } catch {
        // Its member went away, or the leader moved meanwhile: nobody promised anything.
      }
      await new Promise((resolve) => setTimeout(resolve, WRITE_PAUSE_MS));
    }
  }
}

suite("Clustering guide, with flags; then runtime reconfiguration while a client writes", () => {
  const [infra0, infra1, infra2, infra3, infra4] = [
    machine(0),
    machine(1),
    machine(2),
    machine(3),
    machine(4),
  ] as const;
  const first = [infra0, infra1, infra2];
  const writer = new Writer(first);
  after(async () => {
    await writer.stop();
    for (const one of [...first, infra3, infra4]) await one.stop();
  });

  /** etcd --name infra0 --initial-advertise-peer-urls http://10.0.1.10:2380 … */
  const staticFlags = ({ name, peerUrl, clientUrl, address }: GuideMachine) => [
    ...["--name", name, "--initial-advertise-peer-urls", peerUrl],
    ...["--listen-peer-urls", peerUrl],
    ...["--listen-client-urls", `${clientUrl},http://${address}:4001`],
    ...["--advertise-client-urls", clientUrl],
    ...["--initial-cluster-token", "etcd-cluster-1"],
    ...["--initial-cluster", first.map((one) => `${one.name}=${one.peerUrl}`).join(",")],
    ...["--initial-cluster-state", "new"],
  ];
  /** etcd --listen-client-urls http://10.0.1.13:2379 … after the variables that `member add` printed were exported. */
  const joinFlags = ({ peerUrl, clientUrl }: GuideMachine) => [
    ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
    ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
  ];

  test("static: three members become a cluster", async () => {
    await Promise.all(first.map((one) => one.start(staticFlags(one))));
    await healthy(first);
    const members = await memberList(first);
    for (const { name, peerUrl, clientUrl } of first) {
      const { id, ...listed } = members.get(name) ?? { id: "" };
      assert.match(id, /^[0-9a-f]{8,16}$/);
      assert.deepEqual(listed, { started: true, name, peerUrl, clientUrl, isLearner: false });
    }
    const health = await ctl([infra0], "endpoint", "health", "--cluster", "-w", "json");
    assert.deepEqual(
      (JSON.parse(health) as { endpoint: string; health: boolean }[]).map((one) => one.health),
      [true, true, true],
    );
    writer.start();
  });

  test("endpoint status -w table shows one leader, and move-leader makes it another", async () => {
    const leaderOf = async () => {
      const table = await ctl([infra0], "endpoint", "status", "--cluster", "-w", "table");
      const rows = table.split("\n").filter((line) => line.includes("http"));
      assert.equal(rows.length, 3);
      const cells = rows.map((row) => row.split(/[|│]/).map((cell) => cell.trim()));
      const leading = cells.filter((row) => row.includes("true"));
      assert.equal(leading.length, 1, table);
      return first.find(({ clientUrl }) => leading[0]?.includes(clientUrl));
    };
    const leader = await leaderOf();
    const target = first.find((one) => one !== leader) ?? infra0;
    const id = (await memberList(first)).get(target.name)?.id ?? "";
    assert.match(
      await ctl(first, "move-leader", id),
      new RegExp(`^Leadership transferred from \\w+ to ${id}\n$`),
    );
    assert.equal(await leaderOf(), target);
    const others = await tryCtl(
      first.filter((one) => one !== target),
      "move-leader",
      id,
    );
    assert.equal(others.code, 128);
    assert.match(others.stderr, /no leader endpoint given at /);
  });

  test("runtime: a member is added, and started with what `member add` printed", async () => {
    const output = await ctl(first, "member", "add", infra3.name, `--peer-urls=${infra3.peerUrl}`);
    assert.match(output, /^Member +[0-9a-f]+ added to cluster [0-9a-f]+\n/);
    const variables = printedVariables(output);
    assert.equal(variables.ETCD_NAME, infra3.name);
    assert.equal(variables.ETCD_INITIAL_CLUSTER_STATE, "existing");
    assert.equal(variables.ETCD_INITIAL_CLUSTER?.split(",").length, 4);
    const list = await ctl(first, "member", "list");
    assert.ok(list.includes(`, unstarted, , ${infra3.peerUrl}, , false\n`), list);
    await infra3.start(joinFlags(infra3), variables);
    await healthy([...first, infra3]);
  });

  test("runtime: a learner is added, refuses what a learner does, and is promoted", async () => {
    const output = await ctl(
      first,
      "member",
      "add",
      infra4.name,
      `--peer-urls=${infra4.peerUrl}`,
      "--learner",
    );
    assert.match(output, /^Member +[0-9a-f]+ added as learner to cluster [0-9a-f]+\n/);
    const id = /^Member +([0-9a-f]+) /.exec(output)?.[1] ?? "";
    const early = await tryCtl(first, "member", "promote", id);
    assert.match(early.stderr, /etcdserver: can only promote a learner member which is in sync with leader/);
    await infra4.start(joinFlags(infra4), printedVariables(output));
    await eventually(async () => assert.equal((await memberList(first)).get(infra4.name)?.isLearner, true));
    const asked = await tryCtl([infra4], "get", "a", "--command-timeout=2s");
    assert.match(asked.stderr, /rpc not supported for learner/);
    const promoted = await eventually(() => ctl(first, "member", "promote", id), { intervalMs: 100 });
    assert.match(promoted, new RegExp(`^Member +${id} promoted in cluster [0-9a-f]+\n$`));
    await healthy([...first, infra3, infra4]);
    assert.equal((await memberList(first)).get(infra4.name)?.isLearner, false);
  });

  test("runtime: a member moves to another address", async () => {
    const moved = new GuideMachine("infra4", 5);
    const id = (await memberList(first)).get("infra4")?.id ?? "";
    assert.match(
      await ctl(first, "member", "update", id, `--peer-urls=${moved.peerUrl}`),
      new RegExp(`^Member +${id} updated in cluster [0-9a-f]+\n$`),
    );
    await infra4.stop();
    await infra4.start([
      ...[
        "--name",
        "infra4",
        "--listen-client-urls",
        infra4.clientUrl,
        "--advertise-client-urls",
        infra4.clientUrl,
      ],
      ...["--listen-peer-urls", moved.peerUrl, "--initial-advertise-peer-urls", moved.peerUrl],
    ]);
    await healthy([...first, infra3, infra4]);
    assert.equal((await memberList(first)).get("infra4")?.peerUrl, moved.peerUrl);
  });

  test("runtime: members are removed, and stop by themselves with a message", async () => {
    for (const one of [infra3, infra4]) {
      const id = (await memberList(first)).get(one.name)?.id ?? "";
      assert.match(
        await ctl(first, "member", "remove", id),
        new RegExp(`^Member +${id} removed from cluster`),
      );
      await one.ended();
      assert.match(one.output(), /the member has been permanently removed from the cluster/);
    }
    assert.deepEqual([...(await memberList(first)).keys()].sort(), ["infra0", "infra1", "infra2"]);
    await healthy(first);
  });

  test("disaster: a member that lost its disk is refused as it was, and replaced", async () => {
    await infra1.crash();
    infra1.loseDisk();
    const refusal = await infra1.startInVain(staticFlags(infra1));
    const id = (await memberList([infra0])).get("infra1")?.id ?? "";
    assert.ok(refusal.includes(`member ${id} has already been bootstrapped`), refusal);
    await ctl([infra0, infra2], "member", "remove", id);
    const output = await ctl([infra0, infra2], "member", "add", "infra1", `--peer-urls=${infra1.peerUrl}`);
    infra1.loseDisk();
    await infra1.start(joinFlags(infra1), printedVariables(output));
    await healthy(first);
  });

  test("strict reconfiguration check: what would lose the quorum is refused", async () => {
    const ids = await memberList(first);
    await infra2.crash();
    await eventually(async () => {
      const { stderr } = await tryCtl([infra0, infra1], "member", "remove", ids.get("infra1")?.id ?? "");
      assert.match(stderr, /etcdserver: unhealthy cluster/);
    });
    const added = await tryCtl([infra0, infra1], "member", "add", "infra3", `--peer-urls=${infra3.peerUrl}`);
    assert.match(added.stderr, /etcdserver: unhealthy cluster/);
    await infra2.start(staticFlags(infra2));
    await healthy(first);
  });

  test("nothing that was acknowledged is missing, and all members hold the same", async () => {
    await writer.stop();
    assert.ok(writer.acknowledged.length > 100, `${writer.acknowledged.length} puts`);
    for (const one of first) {
      const stored = (await ctl([one], "get", "--prefix", "guide/", "--keys-only"))
        .split("\n")
        .filter((line) => line !== "");
      const missing = writer.acknowledged.filter((key) => !stored.includes(key));
      assert.deepEqual(missing, [], one.name);
    }
    const hashes = JSON.parse(await ctl(first, "endpoint", "hashkv", "-w", "json")) as {
      HashKV: { hash: number };
    }[];
    assert.equal(new Set(hashes.map(({ HashKV }) => HashKV.hash)).size, 1, JSON.stringify(hashes));
  });
});

test("Clustering guide, with ETCD_* variables alone", async () => {
  const machines = [machine(10), machine(11), machine(12)];
  const cluster = machines.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
  await using _stop = {
    [Symbol.asyncDispose]: async () => void (await Promise.all(machines.map((one) => one.stop()))),
  };
  await Promise.all(
    machines.map(({ name, peerUrl, clientUrl }, index) =>
      machines[index]?.start([], {
        ETCD_NAME: name,
        ETCD_DATA_DIR: "data",
        ETCD_INITIAL_ADVERTISE_PEER_URLS: peerUrl,
        ETCD_LISTEN_PEER_URLS: peerUrl,
        ETCD_LISTEN_CLIENT_URLS: clientUrl,
        ETCD_ADVERTISE_CLIENT_URLS: clientUrl,
        ETCD_INITIAL_CLUSTER_TOKEN: "etcd-cluster-2",
        ETCD_INITIAL_CLUSTER: cluster,
        ETCD_INITIAL_CLUSTER_STATE: "new",
      }),
    ),
  );
  await healthy(machines);
  assert.equal(await ctl(machines.slice(0, 1), "put", "a", "1"), "OK\n");
  for (const one of machines) assert.equal(await ctl([one], "get", "a"), "a\n1\n");
  assert.deepEqual(
    [...(await memberList(machines)).values()].map(({ name, started }) => [name, started]).sort(),
    machines.map(({ name }) => [name, true]),
  );
});
