import type { Clock } from "../../base/clock.ts";
import { goneRecords } from "./gone-records.ts";
import type { Folders } from "./inodes-in.ts";
import { type Loss, lossesOfRest } from "./loss.ts";
import type { CheckpointRecord } from "./record.ts";

/** A record whose file has not been held for so long is removed, once the file is really gone. */
export const RECORD_KEEP_MS = 24 * 3600 * 1000;
/** How often they are looked for; the first time not before every entry had time to find its files. */
export const PRUNE_INTERVAL_MS = 10 * 60 * 1000;

/** Finds the records whose files are gone for long, now and then. */
export class LongGone {
  readonly #clock: Clock;
  readonly #folders: Folders;
  #lookedAtMs: number;

  constructor({ clock, folders }: { readonly clock: Clock; readonly folders: Folders }) {
    this.#clock = clock;
    this.#folders = folders;
    this.#lookedAtMs = clock.monotonicMs();
  }

  /** None when it is not time to look. */
  async among(records: Iterable<CheckpointRecord>): Promise<readonly CheckpointRecord[]> {
    if (this.#clock.monotonicMs() - this.#lookedAtMs < PRUNE_INTERVAL_MS) return [];
    this.#lookedAtMs = this.#clock.monotonicMs();
    const oldestMs = this.#clock.wallMs() - RECORD_KEEP_MS;
    const stale = [...records].filter((record) => record.seenAtMs < oldestMs);
    const gone = await goneRecords(stale, this.#folders);
    // Others are held again meanwhile.
    return gone.filter((record) => record.seenAtMs < oldestMs);
  }
}

/** Its entry was removed before it was shipped, or nobody looked for it. */
export function lossesOfGone(record: CheckpointRecord): readonly Loss[] {
  const { seen, offset } = record;
  return seen > offset ? lossesOfRest(record, offset, "gone while nobody held it") : [];
}
