import { closeSync, fstatSync, readSync } from "node:fs";
import { dirname } from "node:path";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { isTellable, KNOWN_BYTES_MIN, type UnpackedAs, unpacked } from "./compressed-file.ts";
import {
  FINGERPRINT_BYTES,
  hashBefore,
  hashOf,
  holdsFurthest,
  holdsShipped,
  isSameBytes,
} from "./file-hash.ts";
import { uncompressedPath } from "./generation-name.ts";
import type { HeldFiles } from "./held-files.ts";
import { KnownContents } from "./known-contents.ts";
import { statOf, whereIs } from "./moved-files.ts";
import { openLogFile } from "./open-file.ts";
import { mintPacked, openUnpacked } from "./open-tailed-file.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";
import { mayHaveSize, unpack, unpackedHead } from "./unpack.ts";
import type { UnseenFile } from "./unseen-files.ts";

/** What was written to so shortly before may be short of its end. */
const WRITING_MS = 10_000;

/** "later": it is being written, or files change places; it is to be looked at again. */
type Outcome = "done" | "later";

/** Of which record a content is. */
type Whose =
  | { readonly kind: "nobody's" }
  /** Of a file that is held, or has another name. */
  | { readonly kind: "there"; readonly record: CheckpointRecord }
  /** Of one that is gone. */
  | { readonly kind: "gone"; readonly record: CheckpointRecord }
  /** Perhaps of one that is gone, and was empty when it was seen last: all of it is to be read in any case. */
  | { readonly kind: "unwritten"; readonly record: CheckpointRecord }
  /** Files change places. */
  | { readonly kind: "unclear" };

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Compressed files that may be generations which nobody saw before they were compressed. One that is what became of a file that is
 * known is left alone, or read on as that one; any other one gets a record of its own.
 */
export class CompressedGenerations {
  readonly #context: SourceContext;
  readonly #held: HeldFiles;
  readonly #hold: (file: TailedFile) => void;
  readonly #unpackedAs: UnpackedAs;

  constructor(parts: {
    readonly context: SourceContext;
    readonly held: HeldFiles;
    readonly hold: (file: TailedFile) => void;
    readonly unpackedAs: UnpackedAs;
  }) {
    this.#context = parts.context;
    this.#held = parts.held;
    this.#hold = parts.hold;
    this.#unpackedAs = parts.unpackedAs;
  }

  /** Oldest first: each record stands for one file, and what it is known by may be in several. Rejects with the signal's reason. */
  async open(
    unseen: readonly UnseenFile[],
    records: readonly CheckpointRecord[],
    options: Options,
  ): Promise<Outcome> {
    const known = new KnownContents(records.filter((record) => record.isPacked !== true));
    let outcome: Outcome = "done";
    for (const file of unseen) {
      if (this.#unpackedAs.idOf(file.identity) !== undefined) continue;
      if ((await this.#openOne(file, known, options)) === "later") outcome = "later";
    }
    return outcome;
  }

  /** Goes on with one that has a record, after a restart. */
  async goOn(record: CheckpointRecord, path: string, options: Options): Promise<Outcome> {
    const content = await unpacked({ path, identity: record }, record, this.#context, options);
    if (content === "moved") return "later";
    if (content !== undefined) {
      this.#read(content, record, path);
      return "done";
    }
    const stats = statOf(path);
    if (stats?.ino !== record.ino || this.#isBeingWritten(Number(stats.mtimeMs))) return "later";
    this.#damaged(record, path);
    return "done";
  }

  async #openOne(file: UnseenFile, known: KnownContents, options: Options): Promise<Outcome> {
    const { path, identity } = file;
    const opened = openLogFile(path, this.#context.openLimits);
    if (opened.kind === "refused") this.#context.problems.set(path, opened.problem);
    if (opened.kind !== "open") return opened.kind === "gone" ? "later" : "done";
    try {
      if (opened.stats.ino !== identity.ino || opened.stats.birthtimeNs !== identity.birthtimeNs)
        return "later";
      this.#context.problems.clear(path);
      // What it is made of is read itself.
      if (await this.#isBeingMade(file, opened.fd, options)) return "done";
      return await this.#judge(file, opened.fd, { known, folder: dirname(opened.path), ...options });
    } finally {
      closeSync(opened.fd);
    }
  }

  async #judge(
    file: UnseenFile,
    fd: number,
    options: Options & { readonly known: KnownContents; readonly folder: string },
  ): Promise<Outcome> {
    const { known, folder, signal } = options;
    const alike = known.withHead(await unpackedHead(fd, FINGERPRINT_BYTES, { signal }));
    const same = alike.find((record) => mayHaveSize(fd, this.#sizeOf(record)) === true);
    if (same !== undefined) return this.#isOf(same, file, known);
    const content = await this.#unpack(file, fd, options);
    if (content === undefined) {
      if (this.#isBeingWritten(fstatSync(fd).mtimeMs)) return "later";
      this.#damaged(this.#mint(file, undefined, folder), file.path);
      return "done";
    }
    let isTaken = false;
    try {
      const whose = await this.#whose(content, alike, known.atLane(file.lane));
      signal.throwIfAborted();
      if (whose.kind === "unclear") return "later";
      if (whose.kind === "there") return this.#isOf(whose.record, file, known);
      // Of a file of which little is known this may be another one: it is not read on.
      if (whose.kind === "gone" && !isTellable(whose.record)) return this.#isOf(whose.record, file, known);
      isTaken = true;
      if (whose.kind === "gone") {
        this.#read(content, whose.record, file.path);
        return this.#isOf(whose.record, file, known);
      }
      if (whose.kind === "unwritten") {
        known.remove(whose.record);
        this.#context.deps.checkpoints.remove(whose.record);
      }
      this.#read(content, this.#mint(file, content, folder), file.path);
      return "done";
    } finally {
      if (!isTaken) closeSync(content);
    }
  }

  /** Is the file from which a program makes it still there? Another one may have come to that name. */
  async #isBeingMade(file: UnseenFile, fd: number, options: Options): Promise<boolean> {
    const original = openLogFile(uncompressedPath(file.path), this.#context.openLimits);
    if (original.kind !== "open") return false;
    try {
      const head = await unpackedHead(fd, FINGERPRINT_BYTES, options);
      if (!isSameBytes(hashOf(head), readHead(original.fd, head.byteLength))) return false;
      const content = await this.#unpack(file, fd, options);
      if (content === undefined) return true;
      const isCopy = isCopyOf(original.fd, content, { mayBeShort: true });
      closeSync(content);
      return isCopy;
    } finally {
      closeSync(original.fd);
    }
  }

  #unpack(
    { identity, compressed }: UnseenFile,
    fd: number,
    { signal }: Options,
  ): Promise<number | undefined> {
    const { folder } = this.#context.deps.checkpoints;
    const endedAtMs = compressed?.endedAtMs ?? 0;
    return unpack(fd, { folder, name: `unpacked-${identity.ino}`, endedAtMs, signal });
  }

  async #whose(
    content: number,
    alike: readonly CheckpointRecord[],
    ofLane: readonly CheckpointRecord[],
  ): Promise<Whose> {
    // What is known of its head may have been replaced since it was looked at.
    for (const { fd, place, record } of this.#held.files.values()) {
      if (place.kind === "moved" && isCopyOf(fd, content)) return { kind: "there", record };
    }
    const isFree = (record: CheckpointRecord) => this.#heldFile(record) === undefined;
    const unsettled = new Set([...this.#held.contents()].map(({ id }) => id));
    for (const record of [...alike, ...ofLane.filter(isUnwritten)].filter(isFree)) {
      // Its content was replaced, and what was read of it is on its way.
      if (unsettled.has(record.id)) {
        if (holdsFurthest(content, record)) return { kind: "there", record };
        continue;
      }
      const place = await whereIs(record, this.#context.deps.scans.folders);
      if (place === "unknown") return { kind: "unclear" };
      if (place !== "gone") {
        if (this.#isCopyOf(place.path, content)) return { kind: "there", record };
      } else if (isUnwritten(record)) return { kind: "unwritten", record };
      else if (holdsShipped(content, record) && holdsFurthest(content, record))
        return { kind: "gone", record };
    }
    return { kind: "nobody's" };
  }

  #mint({ lane, identity }: UnseenFile, content: number | undefined, folder: string): CheckpointRecord {
    const record = mintPacked({ path: lane, fd: content, identity }, this.#context);
    this.#context.deps.checkpoints.foundIn(record, folder);
    return record;
  }

  /** Is this what a file holds that is still there? */
  #isCopyOf(path: string, content: number): boolean {
    const opened = openLogFile(path, this.#context.openLimits);
    if (opened.kind !== "open") return false;
    try {
      return isCopyOf(opened.fd, content);
    } finally {
      closeSync(opened.fd);
    }
  }

  #isOf(record: CheckpointRecord, { path, identity }: UnseenFile, known: KnownContents): Outcome {
    this.#context.logger.info(
      { path, file: record.id },
      "compressed file is what became of one that is known",
    );
    known.remove(record);
    this.#unpackedAs.note(identity, record.id);
    return "done";
  }

  #read(content: number, record: CheckpointRecord, path: string): void {
    const { checkpoints, clock } = this.#context.deps;
    const file = openUnpacked(content, record, this.#context);
    file.place = { kind: "moved", sinceMs: clock.monotonicMs() };
    // All of it is there: by this a later life knows how far it goes.
    checkpoints.reached(record, file.size, hashBefore(content, file.size));
    this.#hold(file);
    this.#context.logger.info({ path, file: record.id }, "compressed file is read");
  }

  #damaged(record: CheckpointRecord, path: string): void {
    this.#context.logger.error({ path, file: record.id }, "compressed file cannot be read");
    this.#context.lostRest(record, record.offset, "compressed, and damaged");
    record.seen = record.offset;
    record.isResting = true;
    this.#context.deps.checkpoints.touch();
  }

  #sizeOf(record: CheckpointRecord): number {
    const held = this.#heldFile(record);
    return held === undefined ? record.seen : fstatSync(held.fd).size;
  }

  #heldFile({ id }: CheckpointRecord): TailedFile | undefined {
    for (const file of this.#held.files.values()) if (file.content.id === id) return file;
    return undefined;
  }

  #isBeingWritten(mtimeMs: number): boolean {
    return this.#context.deps.clock.wallMs() - mtimeMs < WRITING_MS;
  }
}

/** Was nothing in it when it was seen last, though something was yet to come? */
function isUnwritten({ seen, fingerprint, isResting }: CheckpointRecord): boolean {
  return seen === 0 && fingerprint.length === 0 && isResting !== true;
}

function readHead(fd: number, length: number): Buffer {
  const head = Buffer.alloc(length);
  return head.subarray(0, readSync(fd, head, 0, length, 0));
}

/** Is the content what an open file holds, or what it held when its last name went, or, where that may be, what it held once? */
function isCopyOf(fd: number, content: number, { mayBeShort = false } = {}): boolean {
  const { size, nlink } = fstatSync(fd);
  const copied = fstatSync(content).size;
  const isBeginning = copied < size && copied >= KNOWN_BYTES_MIN;
  const isWhole = copied === size || (isBeginning && (nlink === 0 || mayBeShort));
  return isWhole && holdsFurthest(fd, { furthest: { to: copied, tail: hashBefore(content, copied) } });
}
