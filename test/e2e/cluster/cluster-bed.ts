import path from "node:path";
import { localAddresses } from "../../../deploy/cluster/local-addresses.ts";
import { LocalCluster } from "../../../deploy/cluster/local-cluster.ts";
import type { LocalMember } from "../../../deploy/cluster/local-member.ts";
import { DiskFaults, diskFaultsEnv } from "../../support/disk-faults.ts";
import { PeerWires } from "../../support/peer-wires.ts";
import { temporaryFolder } from "../../support/process.ts";

/** Three `logstore` processes with default timeouts, whose wires can be cut and whose disks can be slow or full. */
export class ClusterBed implements AsyncDisposable {
  readonly cluster: LocalCluster;
  readonly wires: PeerWires;
  readonly folder: string;
  readonly #disks: ReadonlyMap<string, DiskFaults>;

  private constructor(parts: {
    readonly cluster: LocalCluster;
    readonly wires: PeerWires;
    readonly folder: string;
    readonly disks: ReadonlyMap<string, DiskFaults>;
  }) {
    this.cluster = parts.cluster;
    this.wires = parts.wires;
    this.folder = parts.folder;
    this.#disks = parts.disks;
  }

  static async start(): Promise<ClusterBed> {
    const folder = temporaryFolder("cluster");
    const wires = new PeerWires();
    const direct = await localAddresses({ size: 3, preferDefaults: false });
    const disks = new Map<string, DiskFaults>();
    const addresses = [];
    for (const { name, clientUrl, peerUrl: listenPeerUrl } of direct) {
      addresses.push({ name, clientUrl, listenPeerUrl, peerUrl: await wires.add(name, listenPeerUrl) });
      disks.set(name, new DiskFaults(path.join(folder, name)));
    }
    const cluster = new LocalCluster({ folder, addresses, env: diskFaultsEnv() });
    const bed = new ClusterBed({ cluster, wires, folder, disks });
    try {
      await cluster.start();
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
    return bed;
  }

  get endpoints(): readonly string[] {
    return this.cluster.endpoints;
  }

  disk(member: LocalMember): DiskFaults {
    const disk = this.#disks.get(member.name);
    if (disk === undefined) throw new Error(`Member ${member.name} has no disk of the tests`);
    return disk;
  }

  /** A member that ends, and is neither killed nor stopped. */
  onUnexpectedEnd(listener: (text: string) => void): void {
    for (const member of this.cluster.members) {
      member.onUnexpectedEnd = ({ exit, lastLines }) =>
        listener(`member ${member.name} ended with ${exit.code ?? exit.signal}: ${lastLines.at(-1)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.close();
    await this.wires[Symbol.asyncDispose]();
  }
}
