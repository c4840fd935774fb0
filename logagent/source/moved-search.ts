import { RECORD_KEEP_MS } from "../checkpoint/long-gone.ts";
import { type CheckpointRecord, lastingKeyOf } from "../checkpoint/record.ts";
import { beginsLike, compressedBeside, isTellable, UnpackedAs, unpacked } from "./compressed-file.ts";
import { CompressedGenerations } from "./compressed-generations.ts";
import type { HeldFiles, Present } from "./held-files.ts";
import { findMoved } from "./moved-files.ts";
import { openInTurn } from "./open-in-turn.ts";
import { openUnpacked } from "./open-tailed-file.ts";
import type { SourceContext } from "./source-context.ts";
import { keyOf, type TailedFile } from "./tailed-file.ts";
import { UnpackTurns } from "./unpack-turns.ts";
import { findUnseen, type UnseenFile } from "./unseen-files.ts";

const NS_PER_MS = 1_000_000;

/** How often files that were renamed out of the pattern are looked for, when nothing hints at them. */
export const MOVED_SCAN_MS = 10_000;

/** Finds the files of an entry that are not where the pattern looks: known ones that were moved, and those that nobody saw. */
export class MovedSearch {
  readonly #context: SourceContext;
  readonly #held: HeldFiles;
  readonly #compressed: CompressedGenerations;
  readonly #unpackedAs = new UnpackedAs();
  readonly #unpackTurns: UnpackTurns;
  readonly #hold: (file: TailedFile) => void;
  /** Shipped and deleted. */
  readonly #finished = new Set<CheckpointRecord>();
  /** When the entry was applied first, or by the life of the agent before this one. */
  #sinceMs: number | undefined;
  #nextMs = 0;
  #hasChanged = false;

  constructor(options: {
    readonly context: SourceContext;
    readonly held: HeldFiles;
    /** Told of each file that was opened. */
    readonly hold: (file: TailedFile) => void;
  }) {
    this.#context = options.context;
    this.#held = options.held;
    this.#hold = options.hold;
    this.#unpackTurns = new UnpackTurns(options.context, options.held);
    this.#compressed = new CompressedGenerations({
      ...options,
      unpackedAs: this.#unpackedAs,
      unpackTurns: this.#unpackTurns,
    });
  }

  /** Files changed places: the next scan searches. */
  hurry(): void {
    this.#nextMs = 0;
  }

  /**
   * A file was shipped and is deleted. Its record is kept until the one that came after it was seen at their path: else what a
   * program has made of it would be taken for a file that nobody saw.
   */
  finished(record: CheckpointRecord): void {
    record.isResting = true;
    // Without births nothing is taken for such a file, and another one may have its number by now.
    if (record.birthtimeNs === 0n) this.#context.deps.checkpoints.remove(record);
    else this.#finished.add(record);
  }

  /** Searches when it is time for that. "stale": files changed places meanwhile. Rejects with the signal's reason. */
  async run(
    present: ReadonlyMap<string, Present>,
    options: { readonly signal: AbortSignal },
  ): Promise<"done" | "stale" | "not due"> {
    const { checkpoints, clock, scans } = this.#context.deps;
    if (clock.monotonicMs() < this.#nextMs) return "not due";
    this.#hasChanged = false;
    this.#sinceMs ??= checkpoints.appliedAtMs(this.#context.entry.path);
    const records = [...checkpoints.recordsOf(this.#context.entry.path)];
    // First, for it goes by when the others were seen last.
    const later = await this.#openUnseen(records, present, options);
    const isThere = this.#areThere(present);
    // When some have to wait, the older of a path are opened first.
    const mayTake = (record: CheckpointRecord) => this.#mayTake(record);
    const missing = records.filter((record) => !isThere(record) && mayTake(record)).sort(byBirth);
    const { moved, gone } = await findMoved(missing, scans.folders, { ...options, clock });
    for (const { path, key, record } of moved) {
      if (!mayTake(record)) continue;
      if (record.isPacked !== true) this.#open(path, key);
      else this.#note(await this.#compressed.goOn(record, path, options));
    }
    this.#openPlain(later);
    for (const record of byAgeCopiesFirst(gone)) {
      // A file that was opened meanwhile has taken its place, and what was lost of it is said.
      if (!checkpoints.find(record).includes(record) || !mayTake(record)) continue;
      if (record.isResting === true && record.seen <= record.offset) continue;
      const compressed = await this.#openCompressed(record, options);
      if (compressed === "none") this.#gone(record);
      this.#hasChanged ||= compressed === "moved";
    }
    if (this.#hasChanged) return "stale";
    // A task that is on its way out, or whose entry comes later by now, gives them back soon.
    if (records.every(mayTake)) this.#nextMs = clock.monotonicMs() + MOVED_SCAN_MS;
    return "done";
  }

  /** Not what another task still holds, nor what has passed to another entry since the search began. */
  #mayTake(record: CheckpointRecord): boolean {
    const { entry, deps } = this.#context;
    return record.entry === entry.path && !deps.claims.isContentHeldByOther(record, this.#held.holder);
  }

  /** What was there at `atMs`, wall clock, when a scan with a search began in which nothing changed places. */
  noteSeen(present: ReadonlyMap<string, Present>, atMs: number): void {
    const isThere = this.#areThere(present);
    for (const record of this.#context.deps.checkpoints.recordsOf(this.#context.entry.path)) {
      if (!isThere(record)) continue;
      const there = present.get(keyOf(record));
      // Its inode may be another file's by now.
      const isSame = there?.stats.birthtimeNs === record.birthtimeNs;
      if (isSame && there.paths.includes(record.path)) delete record.leftAtMs;
      else record.leftAtMs ??= record.seenAtMs;
      record.seenAtMs = atMs;
    }
    this.#forgetFinished(atMs);
  }

  #forgetFinished(atMs: number): void {
    if (this.#finished.size === 0) return;
    const { checkpoints } = this.#context.deps;
    const others = [...checkpoints.recordsOf(this.#context.entry.path)].filter(
      (record) => !this.#finished.has(record),
    );
    const left = Map.groupBy(others, ({ path }) => path);
    for (const record of this.#finished) {
      const ofLane = left.get(record.path) ?? [];
      const isSucceeded = ofLane.some(
        ({ birthtimeNs, seenAtMs }) => birthtimeNs > record.birthtimeNs && seenAtMs >= atMs,
      );
      if (ofLane.length > 0 && !isSucceeded) continue;
      this.#finished.delete(record);
      checkpoints.remove(record);
    }
  }

  /** Is the file of a record held, or among those that were found by the pattern? */
  #areThere(present: ReadonlyMap<string, Present>): (record: CheckpointRecord) => boolean {
    const held = new Set([...this.#held.contents()].map((content) => content.id));
    // Not by inode alone, which may be another file's by now, nor by device, which may have changed its number.
    const there = new Set([...present.values()].map(({ stats }) => lastingKeyOf(stats)));
    return (record) => held.has(record.id) || (record.isPacked !== true && there.has(lastingKeyOf(record)));
  }

  /** Those that are to be opened later, behind older ones, because some have to wait. */
  async #openUnseen(
    records: readonly CheckpointRecord[],
    present: ReadonlyMap<string, Present>,
    options: { readonly signal: AbortSignal },
  ): Promise<readonly UnseenFile[]> {
    const { checkpoints, claims, scans } = this.#context.deps;
    const atPaths = new Map(
      [...present.values()].flatMap(({ paths, stats }) => paths.map((path) => [path, stats])),
    );
    const unseen = await findUnseen(records, scans.folders, {
      isAtItsPath: ({ path, ino, birthtimeNs }) => {
        const there = atPaths.get(path);
        return there?.ino === ino && there.birthtimeNs === birthtimeNs;
      },
      isKnown: (file) => checkpoints.find(file).length > 0,
      isOwned: (path) => claims.ownerOf(path) !== undefined,
      present: atPaths.keys(),
      sinceMs: this.#lookingSinceMs(),
    });
    const plain = unseen.filter(({ compressed }) => compressed === undefined);
    const isOpen = this.#context.turns.areOpenFor(records.length + plain.length);
    if (isOpen) this.#openPlain(plain);
    const compressed = unseen.filter((file) => file.compressed !== undefined);
    this.#note(await this.#compressed.open(compressed, records, options));
    return isOpen ? [] : plain;
  }

  /**
   * Since when whatever was at a path of the pattern, and was seen there, has left a record: of a path without one that is known, and
   * what has left it since then was seen by nobody.
   */
  #lookingSinceMs(): number | undefined {
    if (this.#sinceMs === undefined) return undefined;
    return Math.max(this.#sinceMs, this.#context.deps.clock.wallMs() - RECORD_KEEP_MS);
  }

  #openPlain(unseen: readonly UnseenFile[]): void {
    const { claims } = this.#context.deps;
    for (const { path, identity, lane } of unseen) {
      if (claims.ownerOf(path) === undefined) this.#open(path, keyOf(identity), lane);
    }
  }

  #note(outcome: "done" | "later"): void {
    this.#hasChanged ||= outcome === "later";
  }

  /** `lane`: the path at which a file was that nobody saw there. */
  #open(path: string, key: string, lane?: string): void {
    const { files, holder } = this.#held;
    if (files.has(key)) return;
    const file = openInTurn(path, this.#context, { fromEnd: false, keepLane: true, holder, key, lane });
    this.#hasChanged ||= file === "moved";
    if (file === undefined || typeof file === "string") return;
    file.place = { kind: "moved", sinceMs: this.#context.deps.clock.monotonicMs() };
    this.#hold(file);
  }

  /**
   * What rotation has compressed while nobody held it is read on from there. "waiting": it will be; "none": it is in no compressed
   * file; "moved": it may be in one that has gone on to another name meanwhile.
   */
  async #openCompressed(
    record: CheckpointRecord,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<"opened" | "waiting" | "moved" | "none"> {
    if (!isTellable(record)) return "none";
    const { clock, scans } = this.#context.deps;
    let hasMoved = false;
    for (const packed of await compressedBeside(record, scans.folders)) {
      const { path, identity } = packed;
      if ((this.#unpackedAs.idOf(identity) ?? record.id) !== record.id) continue;
      if (!(await beginsLike(packed, record, this.#context, { signal }))) continue;
      const asked = { path, identity, lane: record.path, endedAtMs: Number(record.birthtimeNs) / NS_PER_MS };
      const fd = await this.#unpackTurns.run(asked, { signal }, () =>
        unpacked(packed, record, this.#context, { signal }),
      );
      if (fd === "waiting") return "waiting";
      hasMoved ||= fd === "moved";
      if (typeof fd !== "number") continue;
      this.#unpackedAs.note(identity, record.id);
      const file = openUnpacked(fd, record, this.#context);
      file.place = { kind: "moved", sinceMs: clock.monotonicMs() };
      this.#hold(file);
      this.#context.logger.info({ path, file: record.id }, "compressed file is read on");
      return "opened";
    }
    return hasMoved ? "moved" : "none";
  }

  #gone(record: CheckpointRecord): void {
    this.#context.lostRest(record, record.offset, "gone while nobody held it");
    record.seen = record.offset;
    record.isResting = true;
    this.#context.deps.checkpoints.touch();
  }
}

/** The oldest first; but of a file and its copy (copytruncate), which begin alike, the copy: it is what was compressed. */
function byAgeCopiesFirst(records: readonly CheckpointRecord[]): readonly CheckpointRecord[] {
  const alike = Map.groupBy(records.toSorted(byBirth), ({ fingerprint }) => fingerprint.hash);
  return [...alike.values()].flatMap((group) => group.reverse());
}

function byBirth(a: CheckpointRecord, b: CheckpointRecord): number {
  return Number(a.birthtimeNs - b.birthtimeNs);
}
