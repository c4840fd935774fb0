import { closeSync } from "node:fs";
import { basename, dirname } from "node:path";
import { CodedError, errorCode } from "../../base/errors.ts";
import { foldersOf } from "../checkpoint/gone-records.ts";
import { type CheckpointRecord, type FileIdentity, lastingKeyOf } from "../checkpoint/record.ts";
import { holdsFurthest, holdsShipped, isSameBytes } from "./file-hash.ts";
import type { FolderIndex } from "./folder-index.ts";
import { isCompressedName, namesBefore } from "./generation-name.ts";
import { SUBFOLDERS_MAX } from "./moved-files.ts";
import { openLogFile } from "./open-file.ts";
import type { SourceContext } from "./source-context.ts";
import { unpack, unpackedHead } from "./unpack.ts";

/** Logs of one program begin alike: what is known by fewer bytes may be another file's. */
export const KNOWN_BYTES_MIN = 64;

/** Compressed files of which it is remembered as what they were read on. */
const UNPACKED_KEPT_MAX = 1_000;

/** A compressed file as it was found. */
export interface CompressedFile {
  readonly path: string;
  readonly identity: FileIdentity;
}

/** Is enough known of a file to tell what it has become by its content alone? */
export function isTellable({ fingerprint }: Pick<CheckpointRecord, "fingerprint">): boolean {
  return fingerprint.length >= KNOWN_BYTES_MIN;
}

/** Compressed files beside the one of a record, of which it may be one, with their identities. */
export async function compressedBeside(
  record: CheckpointRecord,
  index: FolderIndex,
): Promise<readonly CompressedFile[]> {
  const { folders } = await index.look(dirname(record.path));
  const found: CompressedFile[] = [];
  for (const folder of new Set([...foldersOf(record), ...folders.slice(0, SUBFOLDERS_MAX)])) {
    for (const [ino, { path, dev, birthtimeNs }] of (await index.look(folder)).files) {
      if (isCompressedName(path)) found.push({ path, identity: { dev, ino, birthtimeNs } });
    }
  }
  return found;
}

/** Does one lie beside the file of a record that is called like a generation of it? */
export async function isCompressedBeside(record: CheckpointRecord, index: FolderIndex): Promise<boolean> {
  const beside = await compressedBeside(record, index);
  return beside.some(({ path }) => isGenerationOf(path, record));
}

/** By its name. */
function isGenerationOf(path: string, record: CheckpointRecord): boolean {
  return namesBefore(path).some(({ before }) => before === basename(record.path));
}

/** Under which id each compressed file is read: a copy is of one file, and ships once. */
export class UnpackedAs {
  readonly #ids = new Map<string, string>();

  /** Undefined: it is nobody's, or was forgotten. */
  idOf(file: FileIdentity): string | undefined {
    return this.#ids.get(lastingKeyOf(file));
  }

  note(file: FileIdentity, id: string): void {
    this.#ids.set(lastingKeyOf(file), id);
    for (const oldest of this.#ids.keys()) {
      if (this.#ids.size <= UNPACKED_KEPT_MAX) break;
      this.#ids.delete(oldest);
    }
  }
}

/** Does the content of a compressed file begin with what is known of the head of a record's file? */
export async function beginsLike(
  { path, identity }: CompressedFile,
  record: CheckpointRecord,
  context: SourceContext,
  options: { readonly signal: AbortSignal },
): Promise<boolean> {
  const opened = openLogFile(path, context.openLimits);
  // It may have gone on to another name: who unpacks it finds that, or says why it cannot be opened.
  if (opened.kind !== "open") return opened.kind === "gone" || isGenerationOf(path, record);
  try {
    if (opened.stats.ino !== identity.ino || opened.stats.birthtimeNs !== identity.birthtimeNs) return true;
    const { fingerprint } = record;
    return isSameBytes(fingerprint, await unpackedHead(opened.fd, fingerprint.length, options));
  } catch (error) {
    // Who unpacks it says it.
    if (!options.signal.aborted && errorCode(error) !== undefined) return true;
    throw error;
  } finally {
    closeSync(opened.fd);
  }
}

/**
 * The content of a compressed file as an open file without a name, when it is the one of the record: it begins with what was
 * shipped. Undefined when it is another's, or not whole; "moved": by now the path is another file's, or nobody's. The caller closes it.
 * Throws what the disk throws, and CodedError "EREFUSED" when it may not be opened.
 */
export async function unpacked(
  { path, identity }: CompressedFile,
  record: CheckpointRecord,
  context: SourceContext,
  { signal }: { readonly signal: AbortSignal },
): Promise<number | "moved" | undefined> {
  const { checkpoints } = context.deps;
  const opened = openLogFile(path, context.openLimits);
  if (opened.kind === "gone") return "moved";
  if (opened.kind === "refused") throw new CodedError("EREFUSED", opened.problem);
  try {
    const { ino, birthtimeNs } = opened.stats;
    if (ino !== identity.ino || birthtimeNs !== identity.birthtimeNs) return "moved";
    const name = `unpacked-${record.id}`;
    const endedAtNs = endedNs(opened.stats);
    const fd = await unpack(opened.fd, { folder: checkpoints.folder, name, endedAtNs, signal });
    if (fd === undefined || (holdsShipped(fd, record) && holdsFurthest(fd, record))) return fd;
    closeSync(fd);
    return undefined;
  } finally {
    closeSync(opened.fd);
  }
}

/** When the content of a compressed file ended, in nanoseconds since the Unix epoch: most programs hand a file's times on. */
export function endedNs(stats: { readonly mtimeNs: bigint; readonly birthtimeNs: bigint }): bigint {
  const { mtimeNs, birthtimeNs } = stats;
  return birthtimeNs !== 0n && birthtimeNs < mtimeNs ? birthtimeNs : mtimeNs;
}
