import type { BigIntStats } from "node:fs";
import { dirname } from "node:path";
import { Slice } from "../../base/slice.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { isIgnoredByAge } from "../rules/ignored-by-age.ts";
import { fileAt } from "./file-at.ts";
import { findFiles } from "./find-files.ts";
import { compileGlob, type Glob, matchesAny } from "./glob.ts";
import type { HeldFiles, Present } from "./held-files.ts";
import { MovedSearch } from "./moved-search.ts";
import { presentPath } from "./open-file.ts";
import { openInTurn } from "./open-in-turn.ts";
import { openLeft } from "./open-tailed-file.ts";
import { Overlaps } from "./overlaps.ts";
import { passedBy } from "./read-trouble.ts";
import { reportWalk } from "./scan-problems.ts";
import type { SourceContext } from "./source-context.ts";
import { StartAtEnd } from "./start-at-end.ts";
import { bornNs, type FileStamp, keyOf, sameStamp, type TailedFile } from "./tailed-file.ts";

/** So many scans in a row in which files change places open nothing new. */
const STALE_SCANS_MAX = 3;

/** Finds files by name: new ones are opened, and of the held ones it says which are no longer at their path. */
export class Scanner {
  /** The folders that would show a new file, as of the last scan. */
  folders: readonly string[] = [];
  readonly #context: SourceContext;
  readonly #held: HeldFiles;
  readonly #globs: readonly Glob[];
  /** A folder that comes or goes may bring files. */
  readonly #hasWildFolders: boolean;
  /** Files that were let go: opened again only when they have changed. */
  readonly #letGo = new Map<string, FileStamp>();
  readonly #startAtEnd = new StartAtEnd();
  #isFirst = true;
  #isStale = false;
  #staleScans = 0;
  readonly #movedSearch: MovedSearch;

  constructor(context: SourceContext, held: HeldFiles) {
    this.#context = context;
    this.#held = held;
    this.#globs = compileGlob(context.entry.path);
    this.#hasWildFolders = this.#globs.some((glob) =>
      glob.segments.slice(0, -1).some((segment) => segment.kind !== "literal"),
    );
    this.#movedSearch = new MovedSearch({ context, held, hold: (file) => this.#hold(file) });
  }

  /** Files that are watched by their names alone: nothing is left to ship, or they wait for a descriptor. */
  get closedCount(): number {
    let count = this.#letGo.size;
    for (const key of this.#context.turns.waiting.keys()) if (!this.#letGo.has(key)) count += 1;
    return count;
  }

  /** May a name that came or went make a difference to what matches? */
  mayMatch(path: string): boolean {
    return this.#hasWildFolders || matchesAny(this.#globs, path);
  }

  /** Rejects with the signal's reason, and leaves the files as they were found so far. */
  async scan(options: { readonly signal: AbortSignal }): Promise<void> {
    const { checkpoints, clock, leftFiles, scans } = this.#context.deps;
    const { entry, turns } = this.#context;
    const beganAtMs = clock.wallMs();
    const found = await findFiles(this.#globs, { ...options, mounts: scans.mounts });
    this.folders = found.folders;
    const present = await this.#look(found.paths, options);
    reportWalk([...found.problems, ...found.refusals], this.#context.problems);
    const isComplete = found.problems.length === 0;
    const slice = new Slice(clock);
    for (const file of this.#held.files.values()) {
      this.#place(file, present, isComplete);
      if (slice.isOver) await slice.giveTurn(options);
    }
    if (this.#isFirst && entry.from === "end" && !checkpoints.wasApplied(entry.path)) {
      this.#startAtEnd.add(present);
    }
    if (isComplete) this.#startAtEnd.keepOnly(present);
    if (turns.begin(present) || this.#hasSuccessor(present)) this.#movedSearch.hurry();
    for (const left of leftFiles?.takeFor(entry.path) ?? []) {
      this.#hold(openLeft(left, this.#context, this.#held.holder));
    }
    const search = await this.#movedSearch.run(present, options);
    this.#isStale = search === "stale";
    // Successors come behind those that were there before them: first all of these are to be found.
    this.#staleScans = this.#isStale ? this.#staleScans + 1 : 0;
    const mayOpen = !this.#isStale || this.#staleScans > STALE_SCANS_MAX;
    if (mayOpen) await this.#openAll(present, options);
    for (const key of this.#letGo.keys()) if (!present.has(key)) this.#letGo.delete(key);
    if (isComplete && mayOpen) turns.end(present);
    if (this.#isFirst) checkpoints.markApplied(entry.path);
    this.#isFirst = this.#isStale && this.#isFirst;
    if (slice.isOver) await slice.giveTurn(options);
    if (this.#isStale) this.#movedSearch.hurry();
    else if (search === "done") await this.#movedSearch.noteSeen(present, { atMs: beganAtMs, ...options });
  }

  /** Files changed places during the last scan: it is to be repeated soon. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** Before a file is closed: it is opened again when it has changed, or still has something to ship. */
  letGo(file: TailedFile, stamp: FileStamp = file.stamp()): void {
    const { record } = file;
    const isEarly = file.givesWaySinceMs !== undefined && !file.isDeleted && !file.isUnpacked;
    record.isResting = file.place.kind === "moved" && file.content.isSettled && !isEarly;
    if (Number(stamp.size) === file.readTo) this.#letGo.set(file.key, stamp);
    // While it cannot be read it may have another content by now, of which that is the size.
    else if (file.failedReads === 0) this.#context.deps.checkpoints.saw(record, Number(stamp.size));
    this.#context.deps.checkpoints.touch();
  }

  /** A file was shipped and is deleted. */
  finished(record: CheckpointRecord): void {
    this.#movedSearch.finished(record);
  }

  /** A file is held no more. */
  forget(file: TailedFile): void {
    this.#noteFolder(file);
    this.#held.files.delete(file.key);
    this.#held.lanes.remove(file);
    file.leaveLooks();
    this.#context.turns.closed(file);
  }

  /** Which files are at these paths; links to one file come together. */
  async #look(
    paths: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<Map<string, Present>> {
    const { claims, clock } = this.#context.deps;
    const present = new Map<string, Present>();
    const about = new Set<string>();
    const strange = new Set<string>();
    const overlaps = new Overlaps();
    const slice = new Slice(clock);
    for (const path of paths) {
      if (slice.isOver) await slice.giveTurn(options);
      const owner = claims.ownerOf(path);
      if (owner !== undefined && owner !== this.#context.entry.path) {
        overlaps.add(path, owner);
        continue;
      }
      const stats = fileAt(path, this.#globs, this.#context.problems);
      if (stats === undefined) strange.add(`look at ${path}`);
      if (stats === undefined) continue;
      about.add(path);
      const key = keyOf(stats);
      const known = present.get(key);
      if (known === undefined) present.set(key, { paths: [path], stats });
      else known.paths.push(path);
    }
    overlaps.report(this.#context.problems);
    for (const file of this.#held.files.values()) about.add(file.lanePath);
    this.#context.problems.clearOthers("/", about);
    this.#context.problems.clearOthers("look at ", strange);
    return present;
  }

  #place(file: TailedFile, present: ReadonlyMap<string, Present>, isComplete: boolean): void {
    const { claims, clock } = this.#context.deps;
    const owner = claims.ownerOf(file.lanePath);
    file.isLeaving = owner !== undefined && owner !== this.#context.entry.path;
    passedBy(file, present);
    const isHere = present.get(file.key)?.paths.includes(file.lanePath) ?? false;
    if (isHere === (file.place.kind === "at its path") || (!isHere && !isComplete)) return;
    if (!isHere) {
      this.#noteFolder(file);
      // Another may have been there since, and have been moved on as well.
      this.#movedSearch.hurry();
      file.place = { kind: "moved", sinceMs: clock.monotonicMs() };
      return;
    }
    this.#held.lanes.remove(file);
    file.place = { kind: "at its path" };
    file.drain = { kind: "open" };
    this.#held.lanes.add(file);
  }

  /** While a file is held the kernel says where it went. */
  #noteFolder(file: TailedFile): void {
    const path = presentPath(file.fd);
    if (path !== undefined) this.#context.deps.checkpoints.foundIn(file.record, dirname(path));
  }

  /** Is there a new file at the path of one that is known? Others may have been there in between. */
  #hasSuccessor(present: ReadonlyMap<string, Present>): boolean {
    const { turns } = this.#context;
    const isNew = ([key]: [string, Present]) =>
      !this.#held.files.has(key) && !this.#letGo.has(key) && !turns.waiting.has(key);
    const news = [...present].filter(isNew).flatMap(([, { paths }]) => paths);
    if (news.length === 0) return false;
    const known = new Set<string>();
    for (const { path } of this.#context.deps.checkpoints.recordsOf(this.#context.entry.path))
      known.add(path);
    return news.some((path) => known.has(path));
  }

  async #openAll(
    present: ReadonlyMap<string, Present>,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const files = [...present].filter(([key, { stats }]) => this.#isToOpen(key, stats));
    // When some have to wait, the older of a path are opened first.
    if (!this.#context.turns.areOpenFor(files.length)) {
      files.sort(([, a], [, b]) => Number(bornNs(a.stats) - bornNs(b.stats)));
    }
    const slice = new Slice(this.#context.deps.clock);
    for (const [key, { paths, stats }] of files) {
      this.#openNew(key, paths, stats);
      if (slice.isOver) await slice.giveTurn(options);
    }
  }

  /** Is it not held, and new, or changed since it was let go? */
  #isToOpen(key: string, stats: BigIntStats): boolean {
    if (this.#held.files.has(key)) return false;
    const stamp = this.#letGo.get(key);
    if (stamp === undefined || !sameStamp(stamp, stats)) return true;
    const { turns, deps } = this.#context;
    return turns.isFlushDue(key, deps.clock.monotonicMs());
  }

  #openNew(key: string, paths: readonly string[], stats: BigIntStats): void {
    const { claims, clock } = this.#context.deps;
    const [path = ""] = paths;
    const owner = claims.ownerOf(path);
    // A config may have come since the scan began.
    if (owner !== undefined && owner !== this.#context.entry.path) return;
    if (claims.isHeldByOther(key, this.#held.holder)) {
      this.#context.problems.set(
        path,
        `Cannot ship ${path}: another entry ships the same file under another name`,
      );
      return;
    }
    const fromEnd = this.#startAtEnd.has(key, stats);
    // One that starts at its end has to be held from now on, or what is written next would be skipped.
    if (!fromEnd && this.#isIgnored(stats)) return;
    const file = openInTurn(path, this.#context, {
      fromEnd,
      keepLane: this.#isFirst,
      lanePath: this.#context.turns.laneOf(key),
      holder: this.#held.holder,
      key,
      found: stats,
    });
    const isWithoutRecord = file === undefined || file === "moved" || file === "no descriptor";
    if (!isWithoutRecord) this.#startAtEnd.delete(key);
    this.#isStale ||= file === "moved";
    if (file === "compressed") this.#letGo.set(key, stats);
    if (file === undefined || typeof file === "string") return;
    if (!paths.includes(file.lanePath)) {
      file.place = { kind: "moved", sinceMs: clock.monotonicMs() };
    }
    this.#hold(file);
  }

  #isIgnored(stats: BigIntStats): boolean {
    const { entry, deps } = this.#context;
    if (entry.ignoreOlderThanSeconds === undefined) return false;
    const isKnown = deps.checkpoints.find(stats).length > 0;
    return isIgnoredByAge(entry, { mtimeMs: Number(stats.mtimeMs), nowMs: deps.clock.wallMs(), isKnown });
  }

  #hold(file: TailedFile): void {
    const { files, holder } = this.#held;
    const isTaken = file.isUnpacked && !this.#context.deps.claims.takeUnpacked(file.record, holder);
    if (isTaken || files.has(file.key)) {
      file.close();
      return;
    }
    this.#letGo.delete(file.key);
    files.set(file.key, file);
    this.#held.lanes.add(file);
    file.joinLooks(this.#held.looks);
    this.#context.turns.opened(file);
  }
}
