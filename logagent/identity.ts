import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Disk } from "../base/disk.ts";
import { CodedError, errorCode, errorMessage } from "../base/errors.ts";
import { splitHostPort } from "../base/host-port.ts";
import type { Logger } from "../base/log.ts";
import { type VersionedFile, versionedFile } from "../base/versioned-file.ts";
import { parseEndpoint } from "../store/client/endpoint.ts";

export interface IdentityOptions {
  /** The `ip` option. */
  readonly ip: string;
  readonly endpoints: readonly string[];
  readonly dataDir: string;
  readonly disk: Disk;
  readonly log: Logger;
  /** The address of the interface that routes to a host; {@link routeTo} outside of tests. */
  readonly routeTo?: (host: string, port: number) => Promise<string>;
}

const FILE_NAME = "identity.json";
const contentSchema = z.object({ ip: z.string().min(1) });

/**
 * The identity of this agent: `ip` when it is set, else the address of the interface that routes to the first store
 * endpoint with a route. It is resolved once and kept in the data folder, so that it does not wander with routes and
 * interfaces: a changed address is a WARN, and the kept one stays. Loopback counts only if every endpoint is on
 * loopback. Throws CodedError "EIDENTITY", or "EVERSION" for what a newer agent kept.
 */
export async function resolveIdentity(options: IdentityOptions): Promise<string> {
  if (options.ip !== "auto") return options.ip;
  const file = versionedFile({
    disk: options.disk,
    path: join(options.dataDir, FILE_NAME),
    version: 1,
    parse: (value) => contentSchema.parse(value),
  });
  const kept = await readKept(file, options.log);
  const found = await findAddress(options);
  if (kept === undefined) {
    if ("failure" in found) throw new CodedError("EIDENTITY", found.failure);
    await file.write({ ip: found.ip });
    return found.ip;
  }
  if ("failure" in found)
    options.log.warn({ ip: kept, reason: found.failure }, "address not found, kept one used");
  else if (found.ip !== kept) {
    options.log.warn({ ip: kept, address: found.ip, file: file.path }, "address changed, kept identity used");
  }
  return kept;
}

type Found = { readonly ip: string } | { readonly failure: string };

async function findAddress({ endpoints, routeTo: route = routeTo }: IdentityOptions): Promise<Found> {
  const reasons: string[] = [];
  const addresses: string[] = [];
  for (const endpoint of endpoints) {
    const { host, port } = splitHostPort(parseEndpoint(endpoint).address);
    try {
      addresses.push(await route(host, port));
    } catch (error) {
      reasons.push(`${endpoint}: ${errorMessage(error)}`);
    }
  }
  const routable = addresses.find((address) => !isLoopback(address));
  if (routable !== undefined) return { ip: routable };
  const loopback = addresses[0];
  if (loopback !== undefined && addresses.length === endpoints.length) return { ip: loopback };
  const why = reasons.length > 0 ? reasons.join("; ") : "no endpoint";
  return { failure: `Cannot find this machine's address (${why}): set ip: to an address or a name` };
}

/**
 * The local address the kernel would send from: connecting a datagram socket looks up the route and sends no packet.
 * Throws when the name does not resolve or there is no route.
 */
export async function routeTo(host: string, port: number): Promise<string> {
  const { address, family } = await lookup(host);
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  try {
    return await new Promise<string>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(port, address, () => resolve(socket.address().address));
    });
  } finally {
    socket.close();
  }
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");
}

async function readKept(
  file: VersionedFile<{ readonly ip: string }>,
  log: Logger,
): Promise<string | undefined> {
  try {
    return (await file.read())?.ip;
  } catch (error) {
    if (errorCode(error) !== "EDAMAGED") throw error;
    log.warn({ reason: errorMessage(error) }, "kept identity not readable, resolved again");
    return undefined;
  }
}
