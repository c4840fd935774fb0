import type { CheckpointRecord } from "../checkpoint/record.ts";
import { addTo } from "../checkpoint/record-index.ts";
import { hashOf } from "./file-hash.ts";

/** Records by what is known of their contents; each stands for one file. */
export class KnownContents {
  readonly #byLane = new Map<string, Set<CheckpointRecord>>();
  /** By the length of the head that is known, and its hash. */
  readonly #byHead = new Map<number, Map<string, Set<CheckpointRecord>>>();

  constructor(records: Iterable<CheckpointRecord>) {
    for (const record of records) {
      const { length, hash } = record.fingerprint;
      addTo(this.#byLane, record.path, record);
      const sameLength = this.#byHead.get(length) ?? new Map<string, Set<CheckpointRecord>>();
      this.#byHead.set(length, sameLength);
      addTo(sameLength, hash, record);
    }
  }

  /** Of which a part of the head is known, and this is it. */
  withHead(head: Buffer): readonly CheckpointRecord[] {
    const alike: CheckpointRecord[] = [];
    for (const [length, byHash] of this.#byHead) {
      if (length === 0 || length > head.byteLength) continue;
      alike.push(...(byHash.get(hashOf(head.subarray(0, length)).hash) ?? []));
    }
    return alike;
  }

  atLane(path: string): readonly CheckpointRecord[] {
    return [...(this.#byLane.get(path) ?? [])];
  }

  /** Its file has been found. */
  remove(record: CheckpointRecord): void {
    const { length, hash } = record.fingerprint;
    this.#byLane.get(record.path)?.delete(record);
    this.#byHead.get(length)?.get(hash)?.delete(record);
  }
}
