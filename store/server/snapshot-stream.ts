import { createHash } from "node:crypto";
import { mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Backend } from "../backend/port.ts";
import { SnapshotResponse } from "../proto/gen/rpc.ts";
import type { CallContext } from "./service.ts";
import { ETCD_MINOR_VERSION } from "./version.ts";

/** A piece of the file in one message (etcd: 32 KiB). */
const PIECE_BYTES = 32 * 1024;

/** Where a snapshot comes from, and a folder on the same disk for the copy that is sent. */
export interface SnapshotSource {
  readonly backend: Pick<Backend, "copy">;
  readonly state: { flush(): Promise<void> };
  readonly folder: string;
}

/**
 * Sends a consistent copy of the backend file, then its SHA-256 (etcd rpc.proto SnapshotResponse). The copy is removed
 * however the call ends. The file has this store's format, not etcd's: `logstore` reads it, `etcdutl` does not.
 */
export async function streamSnapshot(
  source: SnapshotSource,
  respond: (message: Uint8Array) => Promise<void>,
  { signal }: CallContext,
): Promise<void> {
  await source.state.flush();
  const folder = await mkdtemp(join(source.folder, "snapshot-"));
  try {
    const path = join(folder, "db");
    await source.backend.copy(path);
    await sendFile(path, respond, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function sendFile(
  path: string,
  respond: (message: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await using file = await open(path);
  const hash = createHash("sha256");
  let remaining = (await file.stat()).size;
  while (remaining > 0) {
    signal.throwIfAborted();
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, remaining));
    const { bytesRead } = await file.read(piece, 0, piece.length);
    if (bytesRead === 0)
      throw new Error(`Cannot send snapshot: ${remaining} bytes missing at the file's end`);
    const blob = piece.subarray(0, bytesRead);
    hash.update(blob);
    remaining -= bytesRead;
    await respond(encodePiece(blob, remaining));
  }
  await respond(encodePiece(hash.digest(), 0));
}

function encodePiece(blob: Buffer, remainingBytes: number): Buffer {
  return SnapshotResponse.encode({
    header: undefined,
    remainingBytes,
    blob,
    version: ETCD_MINOR_VERSION,
  }).finish();
}
