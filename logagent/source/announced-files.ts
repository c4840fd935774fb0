import type { CheckpointRecord } from "../checkpoint/record.ts";
import { endedNs } from "./compressed-file.ts";
import type { ClosedFile, FileTurns } from "./file-turns.ts";
import type { MovedFile, MovedFiles } from "./moved-files.ts";
import { bornNs, keyOf } from "./tailed-file.ts";
import { closedPacked, type UnpackTurns } from "./unpack-turns.ts";
import type { UnseenFile } from "./unseen-files.ts";

/**
 * What a search has found and is about to ask for, when not all of it can be open. Files of one path are found in several ways, one
 * after another: a younger one that asks first would be held, and shipped, before the older ones have asked. It waits for those that
 * are announced, until they have asked; after that for those that have to wait.
 *
 * No file that is held waits for one that is not: each is shipped, and makes room. So the oldest that waits at a path has its turn in
 * the end, and what cannot be opened is waited for by nobody once it has been asked for.
 */
export class AnnouncedFiles {
  readonly #turns: FileTurns;
  readonly #unpackTurns: UnpackTurns;
  readonly #files = new Map<string, ClosedFile>();

  constructor(turns: FileTurns, unpackTurns: UnpackTurns) {
    this.#turns = turns;
    this.#unpackTurns = unpackTurns;
  }

  /** May so many be opened, and so many of them unpacked, and none has to wait? */
  areOpenFor({ files, packed }: { readonly files: number; readonly packed: number }): boolean {
    return this.#turns.areOpenFor(files) && this.#unpackTurns.hasRoomFor(packed);
  }

  add(unseen: readonly UnseenFile[], { moved, gone }: MovedFiles): void {
    // Those that are gone are asked for last; what cannot be unpacked would keep the others waiting for ever.
    const compressed = this.#unpackTurns.hadFailed ? [] : gone.filter((record) => !isDone(record));
    const packed =
      unseen.filter((file) => file.compressed !== undefined).length +
      moved.filter(({ record }) => record.isPacked).length +
      compressed.length;
    const files = [...unseen.map(closedUnseen), ...moved.map(closedMoved), ...compressed.map(closedGone)];
    if (this.areOpenFor({ files: files.length, packed })) return;
    for (const file of files) {
      if (this.#turns.announce(file)) this.#files.set(file.key, file);
    }
  }

  /** It waits now if it has to. */
  asked(file: UnseenFile | MovedFile): void {
    const { key } = "record" in file ? closedMoved(file) : closedUnseen(file);
    this.#retract(this.#files.get(key));
  }

  /** The search ends. */
  retract(): void {
    for (const file of this.#files.values()) this.#retract(file);
  }

  #retract(file: ClosedFile | undefined): void {
    if (file !== undefined) this.#turns.retract(file);
  }
}

/** All of it was shipped, or is said to be lost. */
export function isDone({ isResting, seen, offset }: CheckpointRecord): boolean {
  return isResting === true && seen <= offset;
}

/** By which the older of two that were found is known; what is in a compressed one was written before that one was born. */
export function agedNs(file: UnseenFile | MovedFile): bigint {
  return ("record" in file ? closedMoved(file) : closedUnseen(file)).bornNs;
}

function closedUnseen({ identity, lane, compressed }: UnseenFile): ClosedFile {
  if (compressed !== undefined) return closedPacked({ identity, lane, ...compressed });
  const { birthtimeNs } = identity;
  const key = keyOf(identity);
  return { key, lanePath: lane, isMoved: true, birthtimeNs, bornNs: birthtimeNs, record: undefined };
}

function closedMoved({ record, stats }: MovedFile): ClosedFile {
  const { path: lane, birthtimeNs } = record;
  if (record.isPacked === true) return closedPacked({ identity: record, lane, endedAtNs: endedNs(stats) });
  return { key: keyOf(stats), lanePath: lane, isMoved: true, birthtimeNs, bornNs: bornNs(stats), record };
}

/** What has become of it is not known yet. */
function closedGone(record: CheckpointRecord): ClosedFile {
  const { id, path, birthtimeNs } = record;
  return { key: `gone ${id}`, lanePath: path, isMoved: true, birthtimeNs, bornNs: birthtimeNs, record };
}
