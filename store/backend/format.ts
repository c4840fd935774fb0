import { asBuffer } from "../../base/as-buffer.ts";
import { CodedError } from "../../base/errors.ts";
import type { Backend } from "./port.ts";

/**
 * Version of what the buckets hold (docs/formats/backend.md). Older ones are read, newer ones refused. 1: of a cluster of
 * one member, which does not name it.
 */
const BACKEND_FORMAT_VERSION = 2;

const FORMAT_KEY = Buffer.from("formatVersion");

/**
 * Writes the format version into an empty backend, and checks it in any other. Throws CodedError EFORMAT, naming `name`
 * (the file), when the version is newer than ours or the record is damaged.
 */
export function checkFormatVersion(backend: Pick<Backend, "get" | "put">, name: string): void {
  const record = backend.get("meta", FORMAT_KEY);
  if (record === undefined) {
    writeFormatVersion(backend);
    return;
  }
  if (record.byteLength !== 4) {
    throw new CodedError(
      "EFORMAT",
      `Cannot open backend ${name}: its format version record has ${record.byteLength} bytes, expected 4`,
    );
  }
  const version = asBuffer(record).readUInt32BE();
  if (version > BACKEND_FORMAT_VERSION) {
    throw new CodedError(
      "EFORMAT",
      `Cannot open backend ${name}: format version ${version}, expected ${BACKEND_FORMAT_VERSION} or less; ` +
        "a newer version of this program wrote it",
    );
  }
}

/** Of a backend that {@link checkFormatVersion} has accepted. */
export function isFormerFormat(backend: Pick<Backend, "get">): boolean {
  const record = backend.get("meta", FORMAT_KEY);
  return record !== undefined && asBuffer(record).readUInt32BE() < BACKEND_FORMAT_VERSION;
}

/** The content is from now on what this version writes. */
export function writeFormatVersion(backend: Pick<Backend, "put">): void {
  const record = Buffer.alloc(4);
  record.writeUInt32BE(BACKEND_FORMAT_VERSION);
  backend.put("meta", FORMAT_KEY, record);
}
