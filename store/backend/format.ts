import { asBuffer } from "../../base/as-buffer.ts";
import { CodedError } from "../../base/errors.ts";
import type { Backend } from "./port.ts";

/** Version of what the buckets hold (docs/formats/backend.md). Older ones are read, newer ones refused. */
const BACKEND_FORMAT_VERSION = 1;

const FORMAT_KEY = Buffer.from("formatVersion");

/**
 * Writes the format version into an empty backend, and checks it in any other. Throws CodedError EFORMAT, naming `name`
 * (the file), when the version is newer than ours or the record is damaged.
 */
export function checkFormatVersion(backend: Pick<Backend, "get" | "put">, name: string): void {
  const record = backend.get("meta", FORMAT_KEY);
  if (record === undefined) {
    const fresh = Buffer.alloc(4);
    fresh.writeUInt32BE(BACKEND_FORMAT_VERSION);
    backend.put("meta", FORMAT_KEY, fresh);
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
