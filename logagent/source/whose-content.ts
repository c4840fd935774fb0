import { closeSync, fstatSync, readSync } from "node:fs";
import { errorCode } from "../../base/errors.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { KNOWN_BYTES_MIN } from "./compressed-file.ts";
import { hashBefore, holdsFurthest, holdsShipped, isSameBytes } from "./file-hash.ts";
import type { HeldFiles } from "./held-files.ts";
import { whereIs } from "./moved-files.ts";
import { openLogFile } from "./open-file.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";
import { mayHaveSize, unpackedBytes } from "./unpack.ts";

/** Of which record a content is. */
export type Whose =
  | { readonly kind: "nobody's" }
  /** Of a file that is held, or has another name. */
  | { readonly kind: "there"; readonly record: CheckpointRecord }
  /** Of one that is gone. */
  | { readonly kind: "gone"; readonly record: CheckpointRecord }
  /** Perhaps of one that is gone, and was empty when it was seen last: all of it is to be read in any case. */
  | { readonly kind: "unwritten"; readonly record: CheckpointRecord }
  /** Files change places. */
  | { readonly kind: "unclear" };

/** Finds out whose content it is that was in a compressed file: what becomes of it goes by that. */
export class WhoseContent {
  readonly #context: SourceContext;
  readonly #held: HeldFiles;

  constructor(context: SourceContext, held: HeldFiles) {
    this.#context = context;
    this.#held = held;
  }

  /** Of these records, `ofLane` those of the path at which it may have been. `content`: what is in the file, unpacked. */
  async of(
    content: number,
    alike: readonly CheckpointRecord[],
    ofLane: readonly CheckpointRecord[],
  ): Promise<Whose> {
    // What is known of its head may have been replaced since it was looked at.
    for (const { fd, place, record } of this.#held.files.values()) {
      if (place.kind === "moved" && mayBeCopyOf(fd, content)) return { kind: "there", record };
    }
    const isFree = (record: CheckpointRecord) => this.#heldFile(record) === undefined;
    const unsettled = new Set([...this.#held.contents()].map(({ id }) => id));
    for (const record of [...alike, ...ofLane.filter(isUnwritten)].filter(isFree)) {
      // Its content was replaced, and what was read of it is on its way.
      if (unsettled.has(record.id)) {
        if (holdsFurthest(content, record)) return { kind: "there", record };
        continue;
      }
      if (this.#context.deps.claims.isContentHeldByOther(record, this.#held.holder))
        return { kind: "unclear" };
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

  /** Does a compressed file hold all that is known of a file, and no more? Without unpacking it to the disk. */
  async isWhole(
    fd: number,
    record: CheckpointRecord,
    options: { readonly signal: AbortSignal },
  ): Promise<boolean> {
    const held = this.#heldFile(record);
    const size = held === undefined ? record.seen : fstatSync(held.fd).size;
    if (mayHaveSize(fd, size) !== true) return false;
    const { to, tail } = record.furthest ?? { to: record.offset, tail: record.tail };
    if (tail.length === 0) return false;
    return isSameBytes(tail, await unpackedBytes(fd, { from: to - tail.length, to }, options));
  }

  /** Is this what a file holds that is still there? */
  #isCopyOf(path: string, content: number): boolean {
    const opened = openLogFile(path, this.#context.openLimits);
    if (opened.kind !== "open") return false;
    try {
      return mayBeCopyOf(opened.fd, content);
    } finally {
      closeSync(opened.fd);
    }
  }

  #heldFile({ id }: CheckpointRecord): TailedFile | undefined {
    for (const file of this.#held.files.values()) if (file.content.id === id) return file;
    return undefined;
  }
}

/** Was nothing in it when it was seen last, though something was yet to come? */
function isUnwritten({ seen, fingerprint, isResting }: CheckpointRecord): boolean {
  return seen === 0 && fingerprint.length === 0 && isResting !== true;
}

/** Does an open file begin with these bytes? */
export function holdsHead(fd: number, head: Buffer): boolean {
  const bytes = Buffer.alloc(head.byteLength);
  return head.equals(bytes.subarray(0, readSync(fd, bytes, 0, bytes.byteLength, 0)));
}

/** Is the content what an open file holds, or what it held when its last name went, or, where that may be, what it held once? */
export function isCopyOf(fd: number, content: number, { mayBeShort = false } = {}): boolean {
  const { size, nlink } = fstatSync(fd);
  const copied = fstatSync(content).size;
  const isBeginning = copied < size && copied >= KNOWN_BYTES_MIN;
  const isWhole = copied === size || (isBeginning && (nlink === 0 || mayBeShort));
  return isWhole && holdsFurthest(fd, { furthest: { to: copied, tail: hashBefore(content, copied) } });
}

/** As {@link isCopyOf}; one that cannot be read, and still has its name, is not what was compressed: that would be gone. */
function mayBeCopyOf(fd: number, content: number): boolean {
  try {
    return isCopyOf(fd, content);
  } catch (error) {
    if (errorCode(error) === undefined || fstatSync(fd).nlink === 0) throw error;
    return false;
  }
}
