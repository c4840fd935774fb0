import type { AutoCompaction } from "../../conf/store-settings.ts";

const HOUR_MS = 3_600_000;
/** Samples by compaction period (etcd v3compactor/periodic.go). */
const SAMPLES = 10;
/** How often mode revision looks (etcd v3compactor/revision.go). */
const REVISION_INTERVAL_MS = 300_000;

/**
 * Decides when history is dropped, and up to where, by etcd's rules; told the time, so that a test runs a day in no time.
 * The driver gives it a sample, waits `intervalMs`, asks what is due, and says when that is done; and so on.
 */
export interface AutoCompactionPolicy {
  readonly intervalMs: number;
  /** The store's revision at the beginning of an interval. */
  sample(revision: number): void;
  /** The revision to compact at now; undefined: nothing to do. */
  due(nowMs: number, revision: number): number | undefined;
  /** The compaction that was due is done. Without it, it stays due. */
  compacted(revision: number, nowMs: number): void;
}

/** The policy for the flags; undefined when auto-compaction is off. */
export function autoCompactionPolicy(
  settings: AutoCompaction,
  startMs: number,
): AutoCompactionPolicy | undefined {
  switch (settings.kind) {
    case "off":
      return undefined;
    case "periodic":
      return new PeriodicPolicy(settings.retentionMs, startMs);
    case "revision":
      return new RevisionPolicy(settings.retention);
    default:
      return settings satisfies never;
  }
}

/**
 * Keeps at least the retention: the revision of one retention ago, known from samples ten times a period, is compacted once
 * a period. The period is the retention, one hour at most; nothing happens before the first whole retention.
 */
class PeriodicPolicy implements AutoCompactionPolicy {
  readonly intervalMs: number;
  readonly #periodMs: number;
  readonly #samplesKept: number;
  readonly #samples: number[] = [];
  #waitMs: number;
  #lastMs: number;
  #lastRevision = 0;

  constructor(retentionMs: number, startMs: number) {
    this.#periodMs = Math.min(retentionMs, HOUR_MS);
    this.intervalMs = this.#periodMs / SAMPLES;
    this.#samplesKept = Math.floor(retentionMs / this.intervalMs) + 1;
    this.#waitMs = retentionMs;
    this.#lastMs = startMs;
  }

  sample(revision: number): void {
    this.#samples.push(revision);
    if (this.#samples.length > this.#samplesKept) this.#samples.shift();
  }

  due(nowMs: number): number | undefined {
    const [revision] = this.#samples;
    if (revision === undefined || revision === this.#lastRevision) return undefined;
    if (nowMs - this.#lastMs < this.#waitMs) return undefined;
    this.#waitMs = this.#periodMs;
    return revision;
  }

  compacted(revision: number, nowMs: number): void {
    this.#lastRevision = revision;
    this.#lastMs = nowMs;
  }
}

/** Keeps the last revisions, looking every five minutes. */
class RevisionPolicy implements AutoCompactionPolicy {
  readonly intervalMs = REVISION_INTERVAL_MS;
  readonly #retention: number;
  #lastRevision = 0;

  constructor(retention: number) {
    this.#retention = retention;
  }

  sample(): void {
    // Only the newest revision counts here.
  }

  due(_nowMs: number, revision: number): number | undefined {
    const target = revision - this.#retention;
    return target <= 0 || target === this.#lastRevision ? undefined : target;
  }

  compacted(revision: number): void {
    this.#lastRevision = revision;
  }
}
