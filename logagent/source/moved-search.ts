import { Slice } from "../../base/slice.ts";
import { type CheckpointRecord, lastingKeyOf } from "../checkpoint/record.ts";
import { AnnouncedFiles, agedNs, isDone } from "./announced-files.ts";
import { beginsLike, compressedBeside, isTellable, UnpackedAs, unpacked } from "./compressed-file.ts";
import { CompressedGenerations } from "./compressed-generations.ts";
import { FinishedFiles } from "./finished-files.ts";
import { HandedOver } from "./handed-over.ts";
import type { HeldFiles, Present } from "./held-files.ts";
import { LookingSince } from "./looking-since.ts";
import { findMoved, type MovedFile, type MovedFiles } from "./moved-files.ts";
import { openInTurn } from "./open-in-turn.ts";
import { ABOUT_MOVED, openUnpacked } from "./open-tailed-file.ts";
import { mintUnopened } from "./record-of-file.ts";
import type { SourceContext } from "./source-context.ts";
import { keyOf, type TailedFile } from "./tailed-file.ts";
import { UnpackTurns } from "./unpack-turns.ts";
import { findUnseen, type UnseenFile, type UnseenQuestions } from "./unseen-files.ts";

/** How often files that were renamed out of the pattern are looked for, when nothing hints at them. */
export const MOVED_SCAN_MS = 10_000;

interface SearchOptions {
  readonly signal: AbortSignal;
  readonly present: ReadonlyMap<string, Present>;
  readonly announced: AnnouncedFiles;
}

/** Finds the files of an entry that are not where the pattern looks: known ones that were moved, and those that nobody saw. */
export class MovedSearch {
  readonly #context: SourceContext;
  readonly #held: HeldFiles;
  readonly #compressed: CompressedGenerations;
  readonly #unpackedAs = new UnpackedAs();
  readonly #unpackTurns: UnpackTurns;
  readonly #handedOver: HandedOver;
  readonly #hold: (file: TailedFile) => void;
  readonly #finished: FinishedFiles;
  readonly #lookingSince: LookingSince;
  #nextMs = 0;
  #hasChanged = false;
  /** What was to be opened in this search. */
  readonly #asked = new Set<string>();

  constructor(options: {
    readonly context: SourceContext;
    readonly held: HeldFiles;
    /** Told of each file that was opened. */
    readonly hold: (file: TailedFile) => void;
  }) {
    this.#context = options.context;
    this.#held = options.held;
    this.#hold = options.hold;
    this.#finished = new FinishedFiles(options.context);
    this.#lookingSince = new LookingSince(options.context);
    this.#handedOver = new HandedOver(options.context, options.held);
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

  /** A file was shipped and is deleted. */
  finished(record: CheckpointRecord): void {
    this.#finished.add(record);
  }

  /** Searches when it is time for that. "stale": files changed places meanwhile. Rejects with the signal's reason. */
  async run(
    present: ReadonlyMap<string, Present>,
    options: { readonly signal: AbortSignal },
  ): Promise<"done" | "stale" | "not due"> {
    const { checkpoints, clock } = this.#context.deps;
    this.#handedOver.update(clock.monotonicMs());
    if (clock.monotonicMs() < this.#nextMs) return "not due";
    this.#hasChanged = false;
    const records = [...checkpoints.recordsOf(this.#context.entry.path)];
    this.#unpackTurns.beginSearch();
    this.#asked.clear();
    const announced = new AnnouncedFiles(this.#context.turns, this.#unpackTurns);
    try {
      await this.#openAll(records, { present, announced, ...options });
    } finally {
      announced.retract();
    }
    this.#context.problems.clearOthers(ABOUT_MOVED, this.#asked);
    if (this.#hasChanged) return "stale";
    // A task that is on its way out, or whose entry comes later by now, gives them back soon.
    if (records.every((record) => this.#mayTake(record))) this.#nextMs = clock.monotonicMs() + MOVED_SCAN_MS;
    return "done";
  }

  async #openAll(records: readonly CheckpointRecord[], options: SearchOptions): Promise<void> {
    const { checkpoints, clock } = this.#context.deps;
    const { announced } = options;
    const slice = new Slice(clock);
    // First, for it goes by when the others were seen last.
    const unseen = await this.#findUnseen(records, options);
    if (slice.isOver) await slice.giveTurn(options);
    if (unseen.length > 0) {
      const most = unseen.length + this.#missing(records, options).length;
      const mayWait = !announced.areOpenFor({ files: most, packed: most });
      if (mayWait) announced.add(unseen, await this.#findMoved(records, options));
    }
    const later = await this.#openUnseen(unseen, records, options);
    if (slice.isOver) await slice.giveTurn(options);
    const found = await this.#findMoved(records, options);
    announced.add(later, found);
    await this.#openByAge([...found.moved, ...later], options);
    for (const record of byAgeCopiesFirst(found.gone)) {
      // A file that was opened meanwhile has taken its place, and what was lost of it is said.
      if (!checkpoints.find(record).includes(record) || !this.#mayTake(record)) continue;
      if (isDone(record)) continue;
      const compressed = await this.#openCompressed(record, options);
      if (compressed === "none") this.#gone(record);
      this.#hasChanged ||= compressed === "moved";
    }
  }

  /** One that cannot be opened has been asked for then before those that are behind it. */
  async #openByAge(files: (MovedFile | UnseenFile)[], options: SearchOptions): Promise<void> {
    const slice = new Slice(this.#context.deps.clock);
    for (const file of files.sort((a, b) => Number(agedNs(a) - agedNs(b)))) {
      if (slice.isOver) await slice.giveTurn(options);
      if (!("record" in file)) this.#openPlain(file, options);
      else if (this.#mayTake(file.record)) await this.#openMoved(file, options);
      options.announced.asked(file);
    }
  }

  async #openMoved(file: MovedFile, options: SearchOptions): Promise<void> {
    const { path, record, stats } = file;
    if (record.isPacked !== true) this.#open(path, keyOf(stats));
    else this.#note(await this.#compressed.goOn(file, options));
  }

  #findMoved(records: readonly CheckpointRecord[], options: SearchOptions): Promise<MovedFiles> {
    const { clock, scans } = this.#context.deps;
    return findMoved(this.#missing(records, options), scans.folders, { signal: options.signal, clock });
  }

  #missing(records: readonly CheckpointRecord[], { present }: SearchOptions): CheckpointRecord[] {
    const isThere = this.#areThere(present);
    return records.filter((record) => !isThere(record) && this.#mayTake(record));
  }

  /** Not what another task still holds, nor what has passed to another entry since the search began. */
  #mayTake(record: CheckpointRecord): boolean {
    const { entry, deps } = this.#context;
    return record.entry === entry.path && !deps.claims.isContentHeldByOther(record, this.#held.holder);
  }

  /**
   * What was there at `atMs`, wall clock, when a scan with a search began in which nothing changed places. Rejects with the signal's
   * reason.
   */
  async noteSeen(
    present: ReadonlyMap<string, Present>,
    { atMs, signal }: { readonly atMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
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
    await this.#finished.forgetSucceeded(atMs, { signal });
  }

  /** Is the file of a record held, or among those that were found by the pattern? */
  #areThere(present: ReadonlyMap<string, Present>): (record: CheckpointRecord) => boolean {
    const held = new Set([...this.#held.contents()].map((content) => content.id));
    // Not by inode alone, which may be another file's by now, nor by device, which may have changed its number.
    const there = new Set([...present.values()].map(({ stats }) => lastingKeyOf(stats)));
    return (record) => held.has(record.id) || (record.isPacked !== true && there.has(lastingKeyOf(record)));
  }

  async #findUnseen(
    records: readonly CheckpointRecord[],
    { present, signal }: SearchOptions,
  ): Promise<readonly UnseenFile[]> {
    const { checkpoints, claims, clock, scans } = this.#context.deps;
    const atPaths = new Map(
      [...present.values()].flatMap(({ paths, stats }) => paths.map((path) => [path, stats])),
    );
    const ask: UnseenQuestions = {
      isAtItsPath: ({ path, ino, birthtimeNs }) => {
        const there = atPaths.get(path);
        return there?.ino === ino && there.birthtimeNs === birthtimeNs;
      },
      isKnown: (file) => checkpoints.find(file).length > 0,
      isOwned: (path) => claims.ownerOf(path) !== undefined,
      present: atPaths.keys(),
      lookingSince: this.#lookingSince,
    };
    return findUnseen(records, scans.folders, ask, { signal, clock });
  }

  /** Those that are to be opened later, behind older ones, because some have to wait. */
  async #openUnseen(
    unseen: readonly UnseenFile[],
    records: readonly CheckpointRecord[],
    options: SearchOptions,
  ): Promise<readonly UnseenFile[]> {
    const plain = unseen.filter(({ compressed }) => compressed === undefined);
    const isOpen = this.#context.turns.areOpenFor(plain.length);
    if (isOpen) for (const file of plain) this.#openPlain(file, options);
    const compressed = unseen.filter((file) => file.compressed !== undefined);
    const judged = (file: UnseenFile) => options.announced.asked(file);
    this.#note(await this.#compressed.open(compressed, records, { ...options, judged }));
    return isOpen ? [] : plain;
  }

  #openPlain({ path, identity, lane }: UnseenFile, { present }: SearchOptions): void {
    const { entry, deps } = this.#context;
    const owner = deps.claims.ownerOf(path);
    const key = keyOf(identity);
    // One that came to a name of the pattern after the names were read may have another one at the next scan.
    const isMissed = owner === entry.path && !present.has(key);
    if (owner === undefined || isMissed) this.#open(path, key, lane);
  }

  #note(outcome: "done" | "later"): void {
    this.#hasChanged ||= outcome === "later";
  }

  /** `lane`: the path at which a file was that nobody saw there. */
  #open(path: string, key: string, lane?: string): void {
    const { files, holder } = this.#held;
    if (files.has(key)) return;
    this.#asked.add(`${ABOUT_MOVED}${path}`);
    const file = openInTurn(path, this.#context, { fromEnd: false, keepLane: true, holder, key, lane });
    this.#hasChanged ||= file === "moved";
    const isUnopened = file === undefined || file === "no descriptor";
    if (isUnopened && lane !== undefined) mintUnopened(path, { key, lane }, this.#context);
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
      const asked = { path, identity, lane: record.path, endedAtNs: record.birthtimeNs };
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
    this.#context.deps.checkpoints.believe(record);
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
