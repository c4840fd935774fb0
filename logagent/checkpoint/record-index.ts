import type { CheckpointRecord, FileIdentity } from "./record.ts";

/** Records by what they are asked for. */
export class RecordIndex {
  readonly #byId = new Map<string, CheckpointRecord>();
  readonly #byInode = new Map<bigint, Set<CheckpointRecord>>();
  readonly #byEntry = new Map<string, Set<CheckpointRecord>>();

  /** In the order in which they were added. */
  all(): Iterable<CheckpointRecord> {
    return this.#byId.values();
  }

  ofEntry(entryPath: string): Iterable<CheckpointRecord> {
    return this.#byEntry.get(entryPath) ?? [];
  }

  /** Records of this inode and birth time, those of the same device first. */
  find(identity: FileIdentity): readonly CheckpointRecord[] {
    const found = [...(this.#byInode.get(identity.ino) ?? [])].filter(
      (record) => record.birthtimeNs === identity.birthtimeNs,
    );
    return found.sort((a, b) => Number(b.dev === identity.dev) - Number(a.dev === identity.dev));
  }

  add(record: CheckpointRecord): void {
    this.#byId.set(record.id, record);
    addTo(this.#byInode, record.ino, record);
    addTo(this.#byEntry, record.entry, record);
  }

  /** False: it was not there. */
  remove(record: CheckpointRecord): boolean {
    const wasThere = this.#byId.delete(record.id);
    removeFrom(this.#byInode, record.ino, record);
    removeFrom(this.#byEntry, record.entry, record);
    return wasThere;
  }

  assign(record: CheckpointRecord, entryPath: string): void {
    removeFrom(this.#byEntry, record.entry, record);
    record.entry = entryPath;
    if (this.#byId.has(record.id)) addTo(this.#byEntry, record.entry, record);
  }
}

/** Several records may have one key. */
export function addTo<Key>(map: Map<Key, Set<CheckpointRecord>>, key: Key, record: CheckpointRecord): void {
  map.set(key, (map.get(key) ?? new Set()).add(record));
}

function removeFrom<Key>(map: Map<Key, Set<CheckpointRecord>>, key: Key, record: CheckpointRecord): void {
  const same = map.get(key);
  same?.delete(record);
  if (same?.size === 0) map.delete(key);
}
