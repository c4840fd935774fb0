import assert from "node:assert/strict";
import { test } from "node:test";
import { localAddresses } from "../../../deploy/cluster/local-addresses.ts";
import { LocalCluster } from "../../../deploy/cluster/local-cluster.ts";
import type { LocalMember } from "../../../deploy/cluster/local-member.ts";
import { StoreClient } from "../../../store/client/client.ts";
import { eventually, runBin, temporaryFolder } from "../../support/process.ts";
import { AGENT_IP } from "../../support/scene.ts";
import { AgentWitness } from "./agent-witness.ts";

const CALL_TIMEOUT_MS = 20_000;

test("logagent run does not notice that the leader is killed, and that its member is replaced", async (t) => {
  const folder = temporaryFolder("cluster");
  await using cluster = await LocalCluster.start({ folder });
  const violations: string[] = [];
  const { endpoints } = cluster;
  await using agent = await AgentWitness.start(endpoints, (law, text) => violations.push(`${law}: ${text}`));

  const lost = await cluster.waitForLeader();
  const lostId = (await lost.status())?.header.memberId ?? 0n;
  await lost.kill();
  const whileElecting = await agent.changeConfig();
  const survivors = endpoints.filter((endpoint) => endpoint !== lost.clientUrl);
  await assertListed(survivors);

  const replaced = await replace(cluster, { lost, lostId, survivors });
  await agent.changeConfig();
  await eventually(async () => assert.equal((await cluster.leader())?.state, "running"));
  // The one that came last is needed now: of the first three only one is left.
  const next = await cluster.waitForLeader();
  await next.kill();
  const withNewMember = await agent.changeConfig();
  await assertListed([replaced.clientUrl]);

  await agent.stop();
  assert.deepEqual(violations, []);
  t.diagnostic(
    `config arrived ${Math.round(whileElecting)} and ${Math.round(withNewMember)} ms after its put was acknowledged`,
  );
});

/** Takes a member that is gone out, and puts one without data in its place: another peer URL, the same client URL. */
async function replace(
  cluster: LocalCluster,
  {
    lost,
    lostId,
    survivors,
  }: { readonly lost: LocalMember; readonly lostId: bigint; readonly survivors: readonly string[] },
): Promise<LocalMember> {
  using client = StoreClient.create({ endpoints: survivors });
  const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
  await client.cluster.remove(lostId, { signal });
  const [address] = await localAddresses({ size: 1, preferDefaults: false });
  assert.ok(address);
  const { peerUrl } = address;
  const { members } = await client.cluster.add([peerUrl], { signal });
  const initialCluster = members.flatMap(({ name, peerUrls }) =>
    peerUrls.map((url) => `${name === "" ? "m4" : name}=${url}`),
  );
  const member = cluster.join({ name: "m4", clientUrl: lost.clientUrl, peerUrl }, initialCluster.join(","));
  await member.start();
  return member;
}

async function assertListed(endpoints: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runBin("logctl", ["agents", "--endpoints", endpoints.join(",")]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, new RegExp(`${AGENT_IP}.*alive`));
}
