import { crc32c } from "@node-rs/crc32";
import type { BackendPair } from "../backend/port.ts";
import type { decodeRevisionKey } from "./revision.ts";

/** What the records up to a revision hashed to, when a compaction at that revision walked over them. */
export interface CompactionHash {
  readonly hash: number;
  /** Of the compaction. */
  readonly revision: number;
  /** Of the one before it; -1: there was none. Hashes are comparable only where this is equal. */
  readonly compactRevision: number;
}

/**
 * Hashes the records that a compaction walks over, those that it drops too: the same CRC-32C as that of a hash of the store
 * at the compaction's revision, before it (etcd mvcc/kvstore_compaction.go). It costs no walk of its own.
 */
export class CompactionHasher {
  readonly #compactRevision: number;
  #isAnythingKept = false;
  #hash = crc32c("key");

  constructor(compactRevision: number) {
    this.#compactRevision = compactRevision;
  }

  /** To be told before the records are: the compaction keeps a change of some key. */
  noteKept(): void {
    this.#isAnythingKept = true;
  }

  /** The next record, in the order of revisions, and whether the compaction keeps it. */
  add({ key, value }: BackendPair, at: ReturnType<typeof decodeRevisionKey>, isKept: boolean): void {
    // What the compaction before has dropped, or not yet, does not count; unless nothing is kept at all, then all of it.
    if (at.main <= this.#compactRevision && this.#isAnythingKept && !isKept) return;
    if (at.main === this.#compactRevision && at.tombstone) return;
    this.#hash = crc32c(value, crc32c(key, this.#hash));
  }

  at(revision: number): CompactionHash {
    return { hash: this.#hash, revision, compactRevision: this.#compactRevision };
  }
}
