import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { newPeerCounters, type PeerCounters } from "../../../store/peer/peer-counters.ts";
import { registerPeerMetrics } from "../../../store/server/peer-metrics.ts";

/** The samples of a scrape. */
async function samples(registry: Registry): Promise<readonly string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

test("registerPeerMetrics() tells of each peer what was counted, as of the scrape, until it is gone", async () => {
  const peers = new Map<bigint, PeerCounters>();
  const registry = new Registry();
  const transport = { isActive: (id: bigint) => id === 0xb2n, counters: () => peers };
  registerPeerMetrics(registry, { memberId: 0xa1n, transport });
  assert.deepEqual(await samples(registry), []);
  const counters: PeerCounters = {
    ...newPeerCounters(),
    sentBytes: 1,
    receivedBytes: 2,
    droppedMessages: 3,
    disconnects: 4,
    snapshotsSent: 5,
    snapshotSendFailures: 6,
    snapshotsReceived: 7,
    snapshotReceiveFailures: 8,
  };
  peers.set(0xb2n, counters);
  const expected = [
    'etcd_network_active_peers{Local="a1",Remote="b2"} 1',
    'etcd_network_disconnected_peers_total{Local="a1",Remote="b2"} 4',
    'etcd_network_peer_sent_bytes_total{To="b2"} 1',
    'etcd_network_peer_received_bytes_total{From="b2"} 2',
    'etcd_network_peer_sent_failures_total{To="b2"} 3',
    'etcd_network_snapshot_send_success{To="b2"} 5',
    'etcd_network_snapshot_send_failures{To="b2"} 6',
    'etcd_network_snapshot_receive_success{From="b2"} 7',
    'etcd_network_snapshot_receive_failures{From="b2"} 8',
  ];
  assert.deepEqual(await samples(registry), expected);
  // The counters are read, not added up.
  assert.deepEqual(await samples(registry), expected);
  counters.roundTripMs = 250;
  counters.sentBytes = 11;
  peers.set(0xc3n, newPeerCounters());
  const later = await samples(registry);
  assert.ok(later.includes('etcd_network_peer_sent_bytes_total{To="b2"} 11'));
  assert.ok(later.includes('logstore_peer_round_trip_seconds{To="b2"} 0.25'));
  assert.ok(later.includes('etcd_network_active_peers{Local="a1",Remote="c3"} 0'));
  peers.clear();
  assert.deepEqual(await samples(registry), []);
});
