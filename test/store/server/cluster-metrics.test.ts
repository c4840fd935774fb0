import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { systemClock } from "../../../base/clock.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { systemRandom } from "../../../base/random.ts";
import { loadStoreConfig } from "../../../conf/load-store-config.ts";
import { StoreServer } from "../../../store/server/store-server.ts";
import { eventually, freePort, temporaryFolder } from "../../support/process.ts";

interface Place {
  readonly name: string;
  readonly peer: string;
  readonly http: string;
}

async function start({ name, peer, http }: Place, all: readonly Place[]): Promise<StoreServer> {
  const command = loadStoreConfig(
    [
      `--name=${name}`,
      `--data-dir=${temporaryFolder("member")}`,
      "--listen-client-urls=http://127.0.0.1:0",
      `--advertise-client-urls=http://${name}:2379`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${all.map((place) => `${place.name}=${place.peer}`).join()}`,
      `--listen-metrics-urls=${http}`,
    ],
    {},
  );
  assert.ok(command.kind === "run");
  const { settings } = command;
  const server = await StoreServer.open({
    settings,
    disk: nodeDisk,
    clock: systemClock,
    random: systemRandom,
    logger: pino({ level: "silent" }),
    onRemoved: () => assert.fail("nobody is removed"),
    onFatal: (error) => assert.fail(String(error)),
  });
  await server.listen(settings);
  return server;
}

/** The samples of a scrape by name and labels. */
async function scrape(http: string): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${http}/metrics`);
  assert.equal(response.status, 200);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

test("/metrics of each of two members tells who leads, and of the other", async () => {
  const url = async () => `http://127.0.0.1:${await freePort()}`;
  const places: Place[] = [];
  for (const name of ["a", "b"]) places.push({ name, peer: await url(), http: await url() });
  await using stack = new AsyncDisposableStack();
  const servers = await Promise.all(places.map(async (place) => stack.use(await start(place, places))));
  await eventually(async () => {
    for (const { replica } of servers) {
      assert.notEqual(replica.status.leader, 0n);
      assert.ok(replica.state.members.every(({ clientUrls }) => clientUrls.length > 0));
    }
  });
  const ids = servers.map(({ replica }) => replica.memberId.toString(16));
  let leaders = 0;
  for (const [index, { http }] of places.entries()) {
    const values = await scrape(http);
    const [own, other] = [ids[index], ids[1 - index]];
    assert.equal(values.get("etcd_server_has_leader"), 1);
    assert.equal(values.get("etcd_server_is_learner"), 0);
    assert.equal(values.get("etcd_server_leader_changes_seen_total"), 1);
    assert.equal(values.get(`etcd_server_id{server_id="${own}"}`), 1);
    assert.equal(values.get(`etcd_network_active_peers{Local="${own}",Remote="${other}"}`), 1);
    assert.ok((values.get(`etcd_network_peer_sent_bytes_total{To="${other}"}`) ?? 0) > 0);
    assert.ok((values.get(`etcd_network_peer_received_bytes_total{From="${other}"}`) ?? 0) > 0);
    assert.equal(values.get(`etcd_network_snapshot_send_success{To="${other}"}`), 0);
    assert.ok(values.has(`etcd_network_peer_sent_failures_total{To="${other}"}`));
    assert.ok((values.get("logstore_raft_term") ?? 0) >= 2);
    // An entry for each member, one of the leader's, and what each has published.
    assert.ok((values.get("logstore_raft_last_index") ?? 0) >= 5);
    const [last, max] = ["logstore_loop_delay_seconds", "logstore_loop_delay_max_seconds"].map((name) => {
      return values.get(name) ?? Number.NaN;
    });
    assert.ok(Number(last) >= 0 && Number(max) >= Number(last), `${last} ${max}`);
    leaders += values.get("etcd_server_is_leader") ?? 0;
  }
  assert.equal(leaders, 1);
});
