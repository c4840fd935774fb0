import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CodedError, errorCode } from "../../base/errors.ts";
import { type FolderLock, lockFolder } from "../../base/folder-lock.ts";
import { localAddresses } from "./local-addresses.ts";
import type { MemberAddress } from "./local-member.ts";

const FILE = "cluster.json";
const fileSchema = z.object({
  members: z.array(z.object({ name: z.string(), clientUrl: z.string(), peerUrl: z.string() })).min(1),
});

export interface ClusterFolder {
  readonly lock: FolderLock;
  readonly addresses: readonly MemberAddress[];
}

/**
 * Takes `folder` for a cluster of `size` members: the one that is there, at its addresses, or a new one, at etcd's ports where
 * they are free. `keeps`: false forgets the one that is there. Throws CodedError ELOCKED when another process uses it, and
 * EFOLDER when it has another size.
 */
export async function openClusterFolder(
  folder: string,
  { size, keeps }: { readonly size: number; readonly keeps: boolean },
): Promise<ClusterFolder> {
  const lock = await lockFolder(folder);
  try {
    return { lock, addresses: await addressesIn(folder, size, keeps) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function addressesIn(folder: string, size: number, keeps: boolean): Promise<readonly MemberAddress[]> {
  const path = join(folder, FILE);
  const present = await readAddresses(path);
  if (present !== undefined && keeps) {
    if (present.length === size) return present;
    throw new CodedError(
      "EFOLDER",
      `Cannot go on with the cluster in ${folder}: it has ${present.length} members, and --members is ${size}`,
    );
  }
  const addresses = await localAddresses({ size, preferDefaults: true });
  for (const { name } of [...(present ?? []), ...addresses]) {
    const memberFolder = join(folder, name);
    if (!keeps) await rm(memberFolder, { recursive: true, force: true });
    else if (existsSync(memberFolder)) {
      throw new CodedError(
        "EFOLDER",
        `Cannot begin a cluster in ${folder}: ${memberFolder} exists, and no ${FILE}`,
      );
    }
  }
  await writeFile(path, `${JSON.stringify({ members: addresses }, null, 2)}\n`);
  return addresses;
}

async function readAddresses(path: string): Promise<readonly MemberAddress[] | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    return fileSchema.parse(JSON.parse(text)).members;
  } catch (error) {
    throw new CodedError("EFOLDER", `Cannot read ${path}: expected the addresses of a cluster's members`, {
      cause: error,
    });
  }
}
