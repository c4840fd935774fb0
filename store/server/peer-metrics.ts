import { Counter, Gauge, type Registry } from "prom-client";
import type { PeerCounters } from "../peer/peer-counters.ts";
import { idText } from "../raft/id-text.ts";

/** The part of a transport that its metrics are read from. */
export interface MeasuredTransport {
  isActive(id: bigint): boolean;
  counters(): ReadonlyMap<bigint, Readonly<PeerCounters>>;
}

/**
 * What passes between this member and each other that it knows, under etcd's names (server/etcdserver/api/rafthttp/metrics.go).
 * A peer that leaves the cluster takes its rows along.
 */
export function registerPeerMetrics(
  registry: Registry,
  { memberId, transport }: { readonly memberId: bigint; readonly transport: MeasuredTransport },
): void {
  const Local = idText(memberId);
  const to = (id: string) => ({ To: id });
  const from = (id: string) => ({ From: id });
  const between = (id: string) => ({ Local, Remote: id });

  const total = <Label extends string>(
    name: string,
    help: string,
    labels: (id: string) => Record<Label, string>,
    read: (counters: Readonly<PeerCounters>) => number,
  ) => {
    new Counter<Label>({
      name,
      help,
      labelNames: Object.keys(labels("")) as Label[],
      registers: [registry],
      collect() {
        this.reset();
        for (const [id, counters] of transport.counters()) this.inc(labels(idText(id)), read(counters));
      },
    });
  };

  new Gauge({
    name: "etcd_network_active_peers",
    help: "Whether messages to this member can be sent now.",
    labelNames: ["Local", "Remote"],
    registers: [registry],
    collect() {
      this.reset();
      for (const id of transport.counters().keys()) {
        this.set(between(idText(id)), transport.isActive(id) ? 1 : 0);
      }
    },
  });
  new Gauge({
    name: "logstore_peer_round_trip_seconds",
    help: "The last round trip to this member; left out before the first.",
    labelNames: ["To"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [id, { roundTripMs }] of transport.counters()) {
        if (roundTripMs > 0) this.set(to(idText(id)), roundTripMs / 1_000);
      }
    },
  });
  total(
    "etcd_network_disconnected_peers_total",
    "Connections for messages lost.",
    between,
    (counters) => counters.disconnects,
  );
  total("etcd_network_peer_sent_bytes_total", "Bytes sent.", to, (counters) => counters.sentBytes);
  total(
    "etcd_network_peer_received_bytes_total",
    "Bytes received.",
    from,
    (counters) => counters.receivedBytes,
  );
  total("etcd_network_peer_sent_failures_total", "Messages dropped.", to, (counters) => {
    return counters.droppedMessages;
  });
  total(
    "etcd_network_snapshot_send_success",
    "Snapshots delivered.",
    to,
    (counters) => counters.snapshotsSent,
  );
  total("etcd_network_snapshot_send_failures", "Snapshots not delivered.", to, (counters) => {
    return counters.snapshotSendFailures;
  });
  total("etcd_network_snapshot_receive_success", "Snapshots taken.", from, (counters) => {
    return counters.snapshotsReceived;
  });
  total("etcd_network_snapshot_receive_failures", "Snapshots not taken.", from, (counters) => {
    return counters.snapshotReceiveFailures;
  });
}
