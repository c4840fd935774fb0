import type { CheckpointRecord } from "./record.ts";

/** Records that were minted, or fingerprinted for the first time, and are not yet on disk as they are. */
export class FreshRecords {
  /** Record → the version of the checkpoints that has it. */
  readonly #versions = new Map<CheckpointRecord, number>();

  has(record: CheckpointRecord): boolean {
    return this.#versions.has(record);
  }

  /** Also when it was there: what is new of it now is not in a write that has begun. */
  add(record: CheckpointRecord, version: number): void {
    this.#versions.set(record, version);
  }

  remove(record: CheckpointRecord): void {
    this.#versions.delete(record);
  }

  /** A write of this version has ended. */
  written(version: number): void {
    for (const [record, since] of this.#versions) if (since <= version) this.#versions.delete(record);
  }
}
