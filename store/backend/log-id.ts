import { asBuffer } from "../../base/as-buffer.ts";
import type { Backend } from "./port.ts";

const KEY = Buffer.from("log_id");
const BYTES = 8;

/**
 * Id of the WAL whose entries this backend has applied (bucket "meta"); undefined: of none yet. Backends and logs of
 * members that were set up alike look alike, down to the indexes: without it, one beside another's log would be taken for
 * its own.
 */
export function readLogId(backend: Pick<Backend, "get">): bigint | undefined {
  const record = backend.get("meta", KEY);
  return record === undefined ? undefined : asBuffer(record).readBigUInt64BE();
}

export function writeLogId(backend: Pick<Backend, "put">, logId: bigint): void {
  const bytes = Buffer.alloc(BYTES);
  bytes.writeBigUInt64BE(logId);
  backend.put("meta", KEY, bytes);
}

/** Of a copy that goes to another member, whose log it will belong to. */
export function removeLogId(backend: Pick<Backend, "delete">): void {
  backend.delete("meta", KEY);
}
