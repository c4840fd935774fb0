import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const HOST = "127.0.0.1";

/**
 * A TCP port of 127.0.0.1 that nothing listens on and that is not `taken`. It lies outside the range that the kernel takes
 * outgoing ports from: inside it, a connection of somebody else could take the port of a server that is down for a moment,
 * and a client that reconnects could be connected to itself.
 */
export async function freePort(taken: ReadonlySet<number> = new Set()): Promise<number> {
  const first = 10_000;
  const last = Math.max(first + 5000, firstOutgoingPort() - 1);
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = first + Math.floor(Math.random() * (last - first));
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new Error(`Cannot find a free port: 100 tries between ${first} and ${last} were all in use`);
}

/** Nothing listens on this port of 127.0.0.1. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function firstOutgoingPort(): number {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s/)[0]);
  } catch {
    // Not Linux: the range that IANA sets aside for it begins here.
    return 49_152;
  }
}
