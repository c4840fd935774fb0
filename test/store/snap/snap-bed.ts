import { join } from "node:path";
import { pino } from "pino";
import type { Disk } from "../../../base/disk.ts";
import { seededRandom } from "../../../base/random.ts";
import { AppliedIndex } from "../../../store/apply/applied-index.ts";
import { readSnapshotMeta } from "../../../store/apply/snapshot-meta.ts";
import { writeLogId } from "../../../store/backend/log-id.ts";
import { MemBackend, type MemFile } from "../../../store/backend/mem-backend.ts";
import type { Backend } from "../../../store/backend/port.ts";
import { writeConfState } from "../../../store/membership/conf-state-record.ts";
import type { ConfState, EntryId, SnapshotMeta } from "../../../store/raft/types.ts";
import { recoverSnapshot } from "../../../store/snap/recover-snapshot.ts";
import { type MadeSnapshot, SnapshotFolder } from "../../../store/snap/snapshot-folder.ts";
import { readWalStart } from "../../../store/wal/open-log.ts";
import { type OpenedWal, Wal } from "../../../store/wal/wal.ts";

export const logger = pino({ level: "silent" });
export const SNAP = "/data/snap";
const WAL = "/data/wal";
const { signal } = new AbortController();

export const CONF: ConfState = {
  voters: [1n, 0xffff_ffff_ffff_fff0n],
  votersOutgoing: [],
  learners: [7n],
  learnersNext: [],
  autoLeave: false,
};

/** Writes a state that is up to an entry, and commits it. */
export async function writeState(backend: Backend, { index, term }: EntryId, text: string): Promise<void> {
  new AppliedIndex(backend).advance(index, term);
  writeConfState(backend, CONF);
  backend.put("key", Buffer.from("state"), Buffer.from(text));
  await backend.commit();
}

export function stateOf(backend: Backend): string | undefined {
  const value = backend.get("key", Buffer.from("state"));
  return value === undefined ? undefined : Buffer.from(value).toString();
}

export function openFolder(disk: Disk, backend: Backend, folder = SNAP): Promise<SnapshotFolder> {
  return SnapshotFolder.open({ disk, folder, backend, readMeta: readSnapshotMeta, logger });
}

/** A snapshot as another member sends it. */
export async function foreignSnapshot(
  disk: Disk,
  upTo: EntryId,
  text: string,
): Promise<{ readonly meta: SnapshotMeta; readonly made: MadeSnapshot; readonly content: Uint8Array }> {
  const backend = new MemBackend({ disk });
  writeLogId(backend, 999n);
  await writeState(backend, upTo, text);
  const made = await (await openFolder(disk, backend, "/other/snap")).make({ signal });
  return { meta: made.meta, made, content: await collect(made.open()) };
}

export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** In chunks of `size` bytes. */
export async function* inChunks(content: Uint8Array, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.slice(at, at + size);
}

export interface Life {
  readonly backend: MemBackend;
  readonly snapshots: SnapshotFolder;
  readonly opened: OpenedWal;
}

/** A start of a member, in the order in which one is opened. */
export async function startMember(disk: Disk, file: MemFile): Promise<Life> {
  const backend = new MemBackend({ file, disk });
  const snapshots = await openFolder(disk, backend);
  const walStart = await readWalStart({ disk, folder: WAL });
  await recoverSnapshot({ snapshots, walStart, backend, readMeta: readSnapshotMeta });
  const { index, term } = readSnapshotMeta(backend);
  const opened = await Wal.open({
    disk,
    folder: WAL,
    logger,
    random: seededRandom(5),
    identity: { clusterId: 1n, memberId: 1n },
    after: { index, term },
    segmentBytes: 4096,
  });
  return { backend, snapshots, opened };
}

export function snapPath(name: string): string {
  return join(SNAP, name);
}
