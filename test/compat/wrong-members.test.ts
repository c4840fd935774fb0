import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { after, suite, test } from "node:test";
import { eventually } from "../support/process.ts";
import { ctl, GuideMachine, healthy, machineAddress, memberList, tryCtl } from "./guide-machines.ts";

/**
 * Members that are started with what belongs to others, beside a cluster that runs. Where etcd 3.7 has words, they are
 * etcd's; where it runs on (with another member's folder) or dies in a panic (joining as a member that has run), we refuse.
 */
const clusterOf = (machines: readonly GuideMachine[]) =>
  machines.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");

const flags = (machine: GuideMachine, cluster: string, state = "new") => [
  `--name=${machine.name}`,
  `--initial-advertise-peer-urls=${machine.peerUrl}`,
  `--listen-peer-urls=${machine.peerUrl}`,
  `--listen-client-urls=${machine.clientUrl}`,
  `--advertise-client-urls=${machine.clientUrl}`,
  `--initial-cluster=${cluster}`,
  `--initial-cluster-state=${state}`,
];

suite("beside a cluster that runs", () => {
  const machines = [20, 21, 22].map((index) => new GuideMachine(`m${index}`, index));
  const [one, two, three] = machines as [GuideMachine, GuideMachine, GuideMachine];
  const stranger = new GuideMachine("stranger", 23);
  const cluster = clusterOf(machines);
  after(async () => {
    for (const machine of [...machines, stranger]) await machine.stop();
  });

  test("three members start", async () => {
    await Promise.all(machines.map((machine) => machine.start(flags(machine, cluster))));
    await healthy(machines);
  });

  for (const state of ["new", "existing"]) {
    test(`a member under the name and URLs of one of them is refused, --initial-cluster-state ${state}`, async () => {
      const elsewhere = `http://${machineAddress(23)}`;
      const output = await stranger.startInVain([
        ...flags(two, cluster, state),
        `--data-dir=${state}`,
        `--listen-peer-urls=${elsewhere}:2380`,
        `--listen-client-urls=${elsewhere}:2379`,
      ]);
      const { id = "" } = (await memberList(machines)).get(two.name) ?? {};
      assert.ok(output.includes(`member ${id} has already been bootstrapped`), output);
      await healthy(machines);
    });
  }

  test("a member that is told of other members than the cluster has is refused", async () => {
    const output = await stranger.startInVain(flags(stranger, `${clusterOf([one, stranger])}`, "existing"));
    assert.match(
      output,
      /error validating peerURLs \{ClusterID:[0-9a-f]+ Members:\[&\{ID:.*\]\}: member count is unequal/,
    );
    const same = flags(stranger, clusterOf([one, two, stranger]), "existing");
    assert.match(
      await stranger.startInVain(same),
      /PeerURLs: no match found for existing member \([0-9a-f]+,/,
    );
  });

  test("the folder of a member is refused under the name of another, and to a second process", async () => {
    const running = await stranger.startInVain([...flags(stranger, cluster), `--data-dir=${two.dataFolder}`]);
    assert.match(running, /Cannot use data folder \S+: process \d+ is using it/);
    const members = await memberList(machines);
    await two.stop();
    cpSync(two.dataFolder, stranger.dataFolder, { recursive: true });
    const copy = [...flags(three, cluster), `--data-dir=${stranger.dataFolder}`];
    const output = await stranger.startInVain(copy);
    const [owner, named] = [members.get(two.name)?.id, members.get(three.name)?.id];
    const reason = `it is of member ${owner}, \\"${two.name}\\", and --name is \\"${three.name}\\", which is member ${named}`;
    assert.ok(output.includes(reason), output);
    await two.start(flags(two, cluster));
    await healthy(machines);
  });

  test("members are removed down to the last, which stays", async () => {
    const remove = async (machine: GuideMachine) => {
      const { id = "" } = (await memberList([one])).get(machine.name) ?? {};
      return tryCtl([one], "member", "remove", id);
    };
    for (const machine of [three, two]) {
      // Until the others have been connected for etcd's five seconds they do not count.
      await eventually(async () => assert.equal((await remove(machine)).code, 0), { timeoutMs: 20_000 });
      await machine.ended();
    }
    const refused = await remove(one);
    assert.match(refused.stderr, /etcdserver: re-configuration failed due to not enough started members\n$/);
    assert.equal((await memberList([one])).size, 1);
    await ctl([one], "put", "k", "v");
  });
});

test("members with different --initial-cluster are two clusters, and say so on both sides", async () => {
  const machines = [24, 25, 26].map((index) => new GuideMachine(`d${index}`, index));
  const [one, two, other] = machines as [GuideMachine, GuideMachine, GuideMachine];
  await using _stop = {
    [Symbol.asyncDispose]: async () => void (await Promise.all(machines.map((machine) => machine.stop()))),
  };
  const unready = other.spawn(flags(other, clusterOf([one, other])));
  await Promise.all([one, two].map((machine) => machine.start(flags(machine, clusterOf(machines)))));
  await unready;
  await healthy([one, two]);
  await eventually(() => {
    for (const machine of [one, other]) {
      assert.match(machine.output(), /"msg":"request cluster ID mismatch"/);
      assert.match(
        machine.output(),
        /"msg":"request sent was ignored by remote peer due to cluster ID mismatch"/,
      );
    }
  });
  await ctl([one, two], "put", "k", "v");
  assert.doesNotMatch(other.output(), /ready to serve client requests/);
});
