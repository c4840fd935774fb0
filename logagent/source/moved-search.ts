import type { CheckpointRecord } from "../checkpoint/record.ts";
import { compressedBeside, isTellable, unpacked } from "./compressed-file.ts";
import { type Glob, matchesAny } from "./glob.ts";
import type { HeldFiles, Present } from "./held-files.ts";
import { findMoved } from "./moved-files.ts";
import { openTailedFile, openUnpacked } from "./open-tailed-file.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";
import { findUnseen } from "./unseen-files.ts";

/** How often files that were renamed out of the pattern are looked for, when nothing hints at them. */
export const MOVED_SCAN_MS = 10_000;

/** Compressed files of which it is remembered as what they were read on. */
const UNPACKED_KEPT_MAX = 1_000;

/** Finds the files of an entry that are not where the pattern looks: known ones that were moved, and those that nobody saw. */
export class MovedSearch {
  readonly #context: SourceContext;
  readonly #held: HeldFiles;
  readonly #globs: readonly Glob[];
  readonly #hold: (file: TailedFile) => void;
  /** Compressed files, by identity, and the id under which each is read on: a copy is of one file, and ships once. */
  readonly #unpackedAs = new Map<string, string>();
  #nextMs = 0;
  #hasChanged = false;

  constructor(options: {
    readonly context: SourceContext;
    readonly held: HeldFiles;
    readonly globs: readonly Glob[];
    /** Told of each file that was opened. */
    readonly hold: (file: TailedFile) => void;
  }) {
    this.#context = options.context;
    this.#held = options.held;
    this.#globs = options.globs;
    this.#hold = options.hold;
  }

  /** Files changed places: the next scan searches. */
  hurry(): void {
    this.#nextMs = 0;
  }

  /** Searches when it is time for that. "stale": files changed places meanwhile. Rejects with the signal's reason. */
  async run(
    present: ReadonlyMap<string, Present>,
    options: { readonly signal: AbortSignal },
  ): Promise<"done" | "stale" | "not due"> {
    const { checkpoints, clock, scans } = this.#context.deps;
    if (clock.monotonicMs() < this.#nextMs) return "not due";
    this.#hasChanged = false;
    const records = [...checkpoints.recordsOf(this.#context.entry.path)];
    // First, for it goes by when the others were seen last.
    await this.#openUnseen(records, present);
    const isThere = this.#areThere(present);
    const missing = records.filter((record) => !isThere(record));
    const { moved, gone } = await findMoved(missing, scans.folders, options);
    for (const { path, key } of moved) this.#open(path, key);
    // The youngest first: of a file and its copy (copytruncate), which hold the same, the copy is what was compressed.
    for (const record of [...gone].sort((a, b) => Number(b.birthtimeNs - a.birthtimeNs))) {
      // A file that was opened meanwhile has taken its place, and what was lost of it is said.
      if (!checkpoints.find(record).includes(record)) continue;
      if (record.isResting === true && record.seen <= record.offset) continue;
      if (!(await this.#openCompressed(record, options))) this.#gone(record);
    }
    if (this.#hasChanged) return "stale";
    this.#nextMs = clock.monotonicMs() + MOVED_SCAN_MS;
    return "done";
  }

  /** What was there at `atMs`, wall clock, when a scan with a search began in which nothing changed places. */
  noteSeen(present: ReadonlyMap<string, Present>, atMs: number): void {
    const isThere = this.#areThere(present);
    for (const record of this.#context.deps.checkpoints.recordsOf(this.#context.entry.path)) {
      if (isThere(record)) record.seenAtMs = atMs;
    }
  }

  /** Is the file of a record held, or among those that were found by the pattern? */
  #areThere(present: ReadonlyMap<string, Present>): (record: CheckpointRecord) => boolean {
    const held = new Set([...this.#held.contents()].map((content) => content.id));
    // Not by inode alone, which may be another file's by now, nor by device, which may have changed its number.
    const there = new Set([...present.values()].map(({ stats }) => `${stats.ino}:${stats.birthtimeNs}`));
    return (record) => held.has(record.id) || there.has(`${record.ino}:${record.birthtimeNs}`);
  }

  async #openUnseen(
    records: readonly CheckpointRecord[],
    present: ReadonlyMap<string, Present>,
  ): Promise<void> {
    const { checkpoints, scans } = this.#context.deps;
    const atPaths = new Map(
      [...present.values()].flatMap(({ paths, stats }) => paths.map((path) => [path, stats])),
    );
    const unseen = await findUnseen(records, scans.folders, {
      isAtItsPath: ({ path, ino, birthtimeNs }) => {
        const there = atPaths.get(path);
        return there?.ino === ino && there.birthtimeNs === birthtimeNs;
      },
      isKnown: (file) => checkpoints.find(file).length > 0,
    });
    for (const { path, key, lane } of unseen) {
      if (!matchesAny(this.#globs, path)) this.#open(path, key, lane);
    }
  }

  /** `lane`: the path at which a file was that nobody saw there. */
  #open(path: string, key: string, lane?: string): void {
    const { files, holder } = this.#held;
    if (files.has(key)) return;
    const file = openTailedFile(path, this.#context, { fromEnd: false, keepLane: true, holder, key, lane });
    this.#hasChanged ||= file === "moved";
    if (file === undefined || typeof file === "string") return;
    file.place = { kind: "moved", sinceMs: this.#context.deps.clock.monotonicMs() };
    this.#hold(file);
  }

  /** What rotation has compressed while nobody held it is read on from there. */
  async #openCompressed(
    record: CheckpointRecord,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<boolean> {
    if (!isTellable(record)) return false;
    const { allow, checkpoints, clock, scans } = this.#context.deps;
    for (const { path, key } of await compressedBeside(record, scans.folders)) {
      if (!allow.allows(path) || (this.#unpackedAs.get(key) ?? record.id) !== record.id) continue;
      const fd = await unpacked(path, record, { folder: checkpoints.folder, signal });
      if (fd === undefined) continue;
      this.#noteUnpacked(key, record.id);
      const file = openUnpacked(fd, record, this.#context);
      file.place = { kind: "moved", sinceMs: clock.monotonicMs() };
      this.#hold(file);
      this.#context.logger.info({ path, file: record.id }, "compressed file is read on");
      return true;
    }
    return false;
  }

  #noteUnpacked(key: string, id: string): void {
    this.#unpackedAs.set(key, id);
    for (const oldest of this.#unpackedAs.keys()) {
      if (this.#unpackedAs.size <= UNPACKED_KEPT_MAX) break;
      this.#unpackedAs.delete(oldest);
    }
  }

  #gone(record: CheckpointRecord): void {
    this.#context.lostRest(record, record.offset, "gone while nobody held it");
    record.seen = record.offset;
    record.isResting = true;
    this.#context.deps.checkpoints.touch();
  }
}
