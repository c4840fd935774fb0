import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { eventually } from "../support/process.ts";
import { ctl, GuideMachine, healthy, memberList, printedVariables } from "./guide-machines.ts";

const addressFlags = (machine: GuideMachine) => [
  `--name=${machine.name}`,
  `--initial-advertise-peer-urls=${machine.peerUrl}`,
  `--listen-peer-urls=${machine.peerUrl}`,
  `--listen-client-urls=${machine.clientUrl}`,
  `--advertise-client-urls=${machine.clientUrl}`,
];

/** etcd's disaster recovery: two of three disks are lost for good, and the third goes on alone. */
suite("--force-new-cluster", () => {
  const machines = [30, 31, 32].map((index) => new GuideMachine(`f${index}`, index));
  const [one, two, three] = machines as [GuideMachine, GuideMachine, GuideMachine];
  const cluster = machines.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
  const flags = (machine: GuideMachine) => [...addressFlags(machine), `--initial-cluster=${cluster}`];
  let revision = "";
  after(async () => {
    for (const machine of machines) await machine.stop();
  });

  test("a member that has lost the others goes on with all that was acknowledged", async () => {
    await Promise.all(machines.map((machine) => machine.start(flags(machine))));
    await healthy(machines);
    for (let i = 0; i < 20; i += 1) await ctl(machines, "put", `k${i}`, `v${i}`);
    await eventually(async () =>
      assert.equal(await ctl([one], "get", "--consistency=s", "k19"), "k19\nv19\n"),
    );
    revision = revisionOf(await ctl([one], "get", "k19", "-w", "json"));
    await Promise.all(machines.map((machine) => machine.crash()));
    three.loseDisk();
    await one.start([...flags(one), "--force-new-cluster"]);
    assert.equal(revisionOf(await ctl([one], "get", "k19", "-w", "json")), revision);
    assert.equal((await ctl([one], "get", "--prefix", "k", "--keys-only")).match(/^k\d+$/gm)?.length, 20);
    assert.deepEqual([...(await memberList([one])).keys()], [one.name]);
    assert.match(one.output(), /forced a new cluster of this member alone/);
    await ctl([one], "put", "after", "1");
  });

  test("without the flag it stays so, and a former member that comes back is told that it was removed", async () => {
    await one.stop();
    await one.start(flags(one));
    await two.spawn(flags(two));
    await two.ended();
    assert.match(two.output(), /the member has been permanently removed from the cluster/);
    assert.equal(await ctl([one], "get", "after", "--print-value-only"), "1\n");
  });

  test("it grows again to three", async () => {
    for (const machine of [two, three]) {
      if (machine === two) two.loseDisk();
      const added = await eventually(
        () => ctl([one], "member", "add", machine.name, `--peer-urls=${machine.peerUrl}`),
        { timeoutMs: 20_000 },
      );
      await machine.start(addressFlags(machine), printedVariables(added));
      await healthy([one, machine]);
    }
    assert.equal((await memberList([one])).size, 3);
    await one.crash();
    await healthy([two, three]);
    assert.equal(await ctl([two, three], "get", "k7"), "k7\nv7\n");
  });
});

function revisionOf(json: string): string {
  return String((JSON.parse(json) as { readonly header: { readonly revision: number } }).header.revision);
}
