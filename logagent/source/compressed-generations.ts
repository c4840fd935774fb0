import { closeSync, fstatSync } from "node:fs";
import { dirname } from "node:path";
import { errorCode } from "../../base/errors.ts";
import { type CheckpointRecord, lastingKeyOf } from "../checkpoint/record.ts";
import { endedNs, isTellable, type UnpackedAs, unpacked } from "./compressed-file.ts";
import { FINGERPRINT_BYTES, hashBefore } from "./file-hash.ts";
import { uncompressedPath } from "./generation-name.ts";
import type { HeldFiles } from "./held-files.ts";
import { KnownContents } from "./known-contents.ts";
import type { MovedFile } from "./moved-files.ts";
import { openLogFile } from "./open-file.ts";
import { openUnpacked } from "./open-tailed-file.ts";
import { mintPacked } from "./record-of-file.ts";
import type { SourceContext } from "./source-context.ts";
import { statOf } from "./stat-of.ts";
import type { TailedFile } from "./tailed-file.ts";
import { unpack, unpackedHead } from "./unpack.ts";
import type { PackedFile, UnpackTurns } from "./unpack-turns.ts";
import type { UnseenFile } from "./unseen-files.ts";
import { holdsHead, isCopyOf, WhoseContent } from "./whose-content.ts";

/** With more of them the further ones are unpacked again in each search. */
const MADE_KEPT_MAX = 1_000;
/** With more of them the further ones are judged only where the next search finds them. */
const UNDECIDED_MAX = 1_000;
/** What was written to so shortly before may be short of its end. */
const WRITING_MS = 10_000;

/** "later": it is being written, or files change places; it is to be looked at again. */
type Outcome = "done" | "later";

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Compressed files that may be generations which nobody saw before they were compressed. One that is what became of a file that is
 * known is left alone, or read on as that one; any other one gets a record of its own.
 */
export class CompressedGenerations {
  readonly #context: SourceContext;
  readonly #hold: (file: TailedFile) => void;
  readonly #unpackedAs: UnpackedAs;
  readonly #unpackTurns: UnpackTurns;
  readonly #whose: WhoseContent;
  /** By lasting key: could not be judged, and have no record. */
  readonly #undecided = new Map<string, UnseenFile>();
  /** By path, size and time of compressed files beside what they are made of, which is still there. */
  readonly #made = new Map<string, string>();

  constructor(parts: {
    readonly context: SourceContext;
    readonly held: HeldFiles;
    readonly hold: (file: TailedFile) => void;
    readonly unpackedAs: UnpackedAs;
    readonly unpackTurns: UnpackTurns;
  }) {
    this.#context = parts.context;
    this.#hold = parts.hold;
    this.#unpackedAs = parts.unpackedAs;
    this.#unpackTurns = parts.unpackTurns;
    this.#whose = new WhoseContent(parts.context, parts.held);
  }

  /**
   * Oldest first: each record stands for one file, and what it is known by may be in several. Rejects with the
   * signal's reason. `judged`: told of each that had to wait, was opened, or is left alone.
   */
  async open(
    unseen: readonly UnseenFile[],
    records: readonly CheckpointRecord[],
    options: Options & { readonly judged: (file: UnseenFile) => void },
  ): Promise<Outcome> {
    const files = await this.#withUndecided(unseen);
    if (files.length === 0) return "done";
    const known = new KnownContents(records.filter((record) => record.isPacked !== true));
    let outcome: Outcome = "done";
    for (const file of files) {
      if (this.#unpackedAs.idOf(file.identity) === undefined) {
        const judged = await this.#unpackTurns.attempt(file, options, () =>
          this.#openOne(file, known, options),
        );
        if (judged === "waiting") this.#remember(file);
        else if (judged === "later") outcome = "later";
      }
      options.judged(file);
    }
    return outcome;
  }

  /** Something could not be read: who came after it at its path is known by the next search, which would not ask for it again. */
  #remember(file: UnseenFile): void {
    const hasRecord = this.#context.deps.checkpoints.find(file.identity).length > 0;
    if (!hasRecord && this.#undecided.size < UNDECIDED_MAX)
      this.#undecided.set(lastingKeyOf(file.identity), file);
  }

  /** Those that could not be judged in the search before come first, where they are now. */
  async #withUndecided(unseen: readonly UnseenFile[]): Promise<readonly UnseenFile[]> {
    if (this.#undecided.size === 0) return unseen;
    const found = new Set(unseen.map(({ identity }) => lastingKeyOf(identity)));
    const files: UnseenFile[] = [];
    for (const [key, file] of this.#undecided) {
      const { files: present } = await this.#context.deps.scans.folders.look(dirname(file.path));
      const there = present.get(file.identity.ino);
      if (there?.birthtimeNs === file.identity.birthtimeNs && !found.has(key))
        files.push({ ...file, path: there.path });
    }
    this.#undecided.clear();
    return [...files, ...unseen];
  }

  /** Goes on with one that has a record: after a restart, or when it had to wait. */
  async goOn({ record, path, stats }: MovedFile, options: Options): Promise<Outcome> {
    const asked = { path, identity: record, lane: record.path, endedAtNs: endedNs(stats) };
    const content = await this.#unpackTurns.run(asked, options, () =>
      unpacked({ path, identity: record }, record, this.#context, options),
    );
    if (content === "waiting") return "done";
    if (content === "moved") return "later";
    if (content !== undefined) {
      this.#read(content, record, asked);
      return "done";
    }
    const now = statOf(path);
    if (now?.ino !== record.ino || this.#isBeingWritten(Number(now.mtimeMs))) return "later";
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
      const state = `${opened.stats.size} ${opened.stats.mtimeNs}`;
      if (this.#made.get(path) === state && statOf(uncompressedPath(path)) !== undefined) return "done";
      this.#made.delete(path);
      if (await this.#isBeingMade(file, opened.fd, options)) {
        if (this.#made.size < MADE_KEPT_MAX) this.#made.set(path, state);
        return "done";
      }
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
    for (const record of alike) {
      if (await this.#whose.isWhole(fd, record, options)) return this.#isOf(record, file, known);
    }
    const content = await (alike.length > 0
      ? this.#unpack(file, fd, options)
      : this.#unpackOrMint(file, fd, options));
    if (content === undefined) {
      if (this.#isBeingWritten(fstatSync(fd).mtimeMs)) return "later";
      this.#damaged(this.#mint(file, undefined, folder), file.path);
      return "done";
    }
    let isTaken = false;
    try {
      const whose = await this.#whose.of(content, alike, known.atLane(file.lane));
      signal.throwIfAborted();
      if (whose.kind === "unclear") return "later";
      if (whose.kind === "there") return this.#isOf(whose.record, file, known);
      // Of a file of which little is known this may be another one: it is not read on.
      if (whose.kind === "gone" && !isTellable(whose.record)) return this.#isOf(whose.record, file, known);
      const asked = { ...file, endedAtNs: file.compressed?.endedAtNs ?? 0n };
      isTaken = this.#unpackTurns.hasTurn(asked);
      if (whose.kind === "gone") {
        if (!isTaken) return "done";
        this.#read(content, whose.record, asked);
        return this.#isOf(whose.record, file, known);
      }
      if (whose.kind === "unwritten") {
        known.remove(whose.record);
        this.#context.deps.checkpoints.remove(whose.record);
      }
      // By its record it is found again when it has its turn.
      const record = this.#mint(file, content, folder);
      if (isTaken) this.#read(content, record, asked);
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
      if (!mayHoldHead(original.fd, head)) return false;
      const content = await this.#unpack(file, fd, options);
      if (content === undefined) return true;
      try {
        return isCopyOf(original.fd, content, { mayBeShort: true });
      } finally {
        closeSync(content);
      }
    } finally {
      closeSync(original.fd);
    }
  }

  /** When it cannot be unpacked it gets its record all the same: by that it is found again. Throws what the disk throws. */
  async #unpackOrMint(
    file: UnseenFile,
    fd: number,
    options: Options & { readonly folder: string },
  ): Promise<number | undefined> {
    try {
      return await this.#unpack(file, fd, options);
    } catch (error) {
      if (!options.signal.aborted && errorCode(error) !== undefined)
        this.#mint(file, undefined, options.folder);
      throw error;
    }
  }

  #unpack(
    { identity, compressed }: UnseenFile,
    fd: number,
    { signal }: Options,
  ): Promise<number | undefined> {
    const { folder } = this.#context.deps.checkpoints;
    const endedAtNs = compressed?.endedAtNs ?? 0n;
    return unpack(fd, { folder, name: `unpacked-${identity.ino}`, endedAtNs, signal });
  }

  #mint({ lane, identity }: UnseenFile, content: number | undefined, folder: string): CheckpointRecord {
    const record = mintPacked({ path: lane, fd: content, identity }, this.#context);
    this.#context.deps.checkpoints.foundIn(record, folder);
    return record;
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

  #read(content: number, record: CheckpointRecord, asked: PackedFile): void {
    const { path } = asked;
    const { checkpoints, clock } = this.#context.deps;
    const file = openUnpacked(content, record, this.#context);
    file.place = { kind: "moved", sinceMs: clock.monotonicMs() };
    // All of it is there: by this a later life knows how far it goes.
    checkpoints.reached(record, file.size, hashBefore(content, file.size));
    this.#hold(file);
    this.#unpackTurns.taken(asked);
    this.#context.logger.info({ path, file: record.id }, "compressed file is read");
  }

  #damaged(record: CheckpointRecord, path: string): void {
    this.#context.logger.error({ path, file: record.id }, "compressed file cannot be read");
    this.#context.lostRest(record, record.offset, "compressed, and damaged");
    record.seen = record.offset;
    record.isResting = true;
    this.#context.deps.checkpoints.touch();
  }

  #isBeingWritten(mtimeMs: number): boolean {
    return this.#context.deps.clock.wallMs() - mtimeMs < WRITING_MS;
  }
}

/** Where the file cannot be read, no program could have read it either: it is another one, and nobody is to wait for it. */
function mayHoldHead(fd: number, head: Buffer): boolean {
  try {
    return holdsHead(fd, head);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return false;
  }
}
