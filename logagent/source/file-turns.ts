import type { CheckpointRecord } from "../checkpoint/record.ts";
import type { Present } from "./held-files.ts";
import type { OpenFiles } from "./open-files.ts";
import { bornNs, type FileStamp, type TailedFile } from "./tailed-file.ts";

/** Closed files that are opened for a moment in a scan because they have changed; of the others their size alone is noted. */
const CLOSED_LOOKS_MAX = 1_000;

/** A file that is found and not open. */
export interface ClosedFile {
  readonly key: string;
  /** The path whose turns it takes. */
  readonly lanePath: string;
  /** It is not at that path any more. */
  readonly isMoved: boolean;
  readonly birthtimeNs: bigint;
  /** Its {@link bornNs}. */
  readonly bornNs: bigint;
  /** Undefined: nobody has looked into it yet. */
  readonly record: CheckpointRecord | undefined;
}

/** What is not in the record of a file that gave way, and goes on where it is opened again. */
interface Left {
  readonly id: string;
  readonly birthtimeNs: bigint;
  readonly lanePath: string;
  readonly offset: number;
  readonly size: number;
  readonly grownAtMs: number;
  /** What is behind the last newline has waited long enough then. */
  readonly flushAtMs: number;
}

/** Which files of one entry are closed because others are open, what they left, and which of them wait to be opened. */
export class FileTurns {
  readonly #openFiles: OpenFiles;
  readonly #left = new Map<string, Left>();
  readonly #waiting = new Map<string, ClosedFile>();
  /** Of those that wait: found in this scan. */
  readonly #found = new Set<string>();
  /** Gave way with deliveries that are not acknowledged: not opened again before they are. */
  readonly #unsettled = new Map<string, ClosedFile>();
  /** By the path whose turns they take: who waits, and who is not settled. */
  readonly #lanes = new Map<string, Set<ClosedFile>>();

  #looksLeft = CLOSED_LOOKS_MAX;

  constructor(openFiles: OpenFiles) {
    this.#openFiles = openFiles;
  }

  /** Nobody has to wait: a file may be opened without a question. */
  get areOpen(): boolean {
    return this.areOpenFor(1);
  }

  /** Nobody has to wait when so many files are opened. */
  areOpenFor(files: number): boolean {
    return this.#openFiles.hasRoomFor(files) && this.#lanes.size === 0;
  }

  get waiting(): ReadonlyMap<string, ClosedFile> {
    return this.#waiting;
  }

  /** A scan begins, in which those that still wait ask again. True: one of those that are closed is to be searched for. */
  begin(present: ReadonlyMap<string, Present>): boolean {
    this.#found.clear();
    this.#looksLeft = CLOSED_LOOKS_MAX;
    let isMissing = false;
    for (const [key, { isMoved, birthtimeNs }] of this.#waiting) {
      const isThere = isAt(key, birthtimeNs, present);
      isMissing ||= isMoved || !isThere;
      // Nothing of it counts for one that has its number now.
      if (!isThere && present.has(key)) this.forget(key);
    }
    for (const [key, { birthtimeNs }] of this.#left) {
      const isThere = isAt(key, birthtimeNs, present);
      isMissing ||= !isThere;
      if (!isThere && present.has(key)) this.#left.delete(key);
    }
    return isMissing;
  }

  /** Everything was found that there is. */
  end(present: ReadonlyMap<string, unknown>): void {
    for (const key of this.#waiting.keys()) if (!this.#found.has(key)) this.forget(key);
    for (const key of this.#left.keys()) {
      if (!present.has(key) && !this.#waiting.has(key) && !this.#unsettled.has(key)) this.#left.delete(key);
    }
  }

  /** May it be opened, and held? Otherwise it waits: for a descriptor, or for those before it in its lane. */
  mayHold(file: ClosedFile, nowMs: number): boolean {
    const { key } = file;
    const isBehind = this.#unsettled.has(key) || this.#isBehindOther(file);
    if (isBehind) this.#openFiles.withdraw(key);
    else if (this.#openFiles.mayOpen(key, nowMs)) return true;
    this.#enter(file);
    return false;
  }

  /** It waits for something else than a descriptor. */
  wait(file: ClosedFile): void {
    this.#openFiles.withdraw(file.key);
    this.#enter(file);
  }

  /** It is about to ask: younger ones of its lane wait for it, whoever asks first. False: it waits already. */
  announce(file: ClosedFile): boolean {
    if (this.#waiting.has(file.key)) return false;
    this.#enter(file);
    return true;
  }

  /** If it was announced and has not asked, it is not waited for. */
  retract(file: ClosedFile): void {
    if (this.#waiting.get(file.key) === file) this.forget(file.key);
  }

  /** May another closed file be looked into in this scan? */
  mayLook(): boolean {
    this.#looksLeft -= 1;
    return this.#looksLeft >= 0;
  }

  /** Not one that has the number of such a file by now. */
  isUnsettled({ key, birthtimeNs }: Pick<ClosedFile, "key" | "birthtimeNs">): boolean {
    return this.#unsettled.get(key)?.birthtimeNs === birthtimeNs;
  }

  /** Its deliveries are acknowledged. */
  settled(key: string): void {
    this.#leaveLane(this.#unsettled.get(key));
    this.#unsettled.delete(key);
  }

  /** It does not wait any more. */
  forget(key: string): void {
    this.#leaveLane(this.#waiting.get(key));
    this.#waiting.delete(key);
    this.#openFiles.withdraw(key);
  }

  /** The task ends. */
  forgetAll(): void {
    for (const key of [...this.#waiting.keys()]) this.forget(key);
    this.#unsettled.clear();
    this.#lanes.clear();
    this.#left.clear();
  }

  opened(file: TailedFile): void {
    this.forget(file.key);
    this.#openFiles.add(file);
    const left = this.#left.get(file.key);
    this.#left.delete(file.key);
    if (left === undefined || left.id !== file.record.id || left.offset !== file.offset) return;
    if (left.size === file.size) file.grownAtMs = left.grownAtMs;
  }

  closed(file: TailedFile): void {
    this.#openFiles.delete(file);
  }

  /** Before a file is closed for others. `flushAfterMs`: then what is behind its last newline has waited long enough. */
  gaveWay(file: TailedFile, stamp: FileStamp, flushAfterMs: number): void {
    const { lanePath, offset, size, grownAtMs, content, birthtimeNs } = file;
    this.#left.set(file.key, {
      id: file.record.id,
      birthtimeNs,
      lanePath,
      offset,
      size,
      grownAtMs,
      flushAtMs: size > offset ? grownAtMs + flushAfterMs : Number.POSITIVE_INFINITY,
    });
    if (content.isSettled) return;
    const { key, record } = file;
    const closed = { key, lanePath, isMoved: true, birthtimeNs, bornNs: bornNs(stamp), record };
    this.#unsettled.set(key, closed);
    this.#joinLane(closed);
  }

  /** The path whose turns a closed file takes, wherever it is now. */
  laneOf(key: string): string | undefined {
    return (this.#left.get(key) ?? this.#waiting.get(key))?.lanePath;
  }

  /** Has what is behind its last newline waited long enough? */
  isFlushDue(key: string, nowMs: number): boolean {
    return nowMs >= (this.#left.get(key)?.flushAtMs ?? Number.POSITIVE_INFINITY);
  }

  /** Is a file closed that comes before it in its lane, and has something left? */
  #isBehindOther(file: ClosedFile): boolean {
    for (const other of this.#lanes.get(file.lanePath) ?? []) if (isBefore(other, file)) return true;
    return false;
  }

  #enter(file: ClosedFile): void {
    this.#leaveLane(this.#waiting.get(file.key));
    this.#waiting.set(file.key, file);
    this.#joinLane(file);
    this.#found.add(file.key);
  }

  #joinLane(file: ClosedFile): void {
    const lane = this.#lanes.get(file.lanePath) ?? new Set();
    this.#lanes.set(file.lanePath, lane.add(file));
  }

  #leaveLane(file: ClosedFile | undefined): void {
    if (file === undefined) return;
    const lane = this.#lanes.get(file.lanePath);
    lane?.delete(file);
    if (lane?.size === 0) this.#lanes.delete(file.lanePath);
  }
}

function isAt(key: string, birthtimeNs: bigint, present: ReadonlyMap<string, Present>): boolean {
  return present.get(key)?.stats.birthtimeNs === birthtimeNs;
}

/** The one at the path is the youngest. */
function isBefore(other: ClosedFile, file: ClosedFile): boolean {
  if (other.key === file.key) return false;
  if (!file.isMoved) return true;
  return other.isMoved && other.bornNs < file.bornNs;
}
