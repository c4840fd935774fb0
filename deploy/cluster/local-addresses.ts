import { freePort, isFree } from "../free-port.ts";
import type { MemberAddress } from "./local-member.ts";

const HOST = "127.0.0.1";
/** Client and peer port of the first member; each further one's are 10,000 or so higher, as in etcd's own local cluster. */
const DEFAULT_PORTS = [2379, 22379, 32379, 42379, 52379];

/**
 * Addresses for members `m1`, `m2`, … on this machine. `preferDefaults`: etcd's ports (2379 and 2380, 22379 and 22380, …)
 * for each member that finds both free.
 */
export async function localAddresses(options: {
  readonly size: number;
  readonly preferDefaults: boolean;
}): Promise<readonly MemberAddress[]> {
  const addresses: MemberAddress[] = [];
  const taken = new Set<number>();
  for (let index = 0; index < options.size; index += 1) {
    const preferred = options.preferDefaults ? DEFAULT_PORTS[index] : undefined;
    const [client, peer] = await portPair(preferred, taken);
    taken.add(client).add(peer);
    addresses.push({
      name: `m${index + 1}`,
      clientUrl: `http://${HOST}:${client}`,
      peerUrl: `http://${HOST}:${peer}`,
    });
  }
  return addresses;
}

async function portPair(
  preferred: number | undefined,
  taken: ReadonlySet<number>,
): Promise<[number, number]> {
  if (preferred !== undefined && (await isFree(preferred)) && (await isFree(preferred + 1))) {
    return [preferred, preferred + 1];
  }
  const client = await freePort(taken);
  return [client, await freePort(new Set([...taken, client]))];
}
