import { invariant } from "../../base/invariant.ts";
import type { Backend } from "../backend/port.ts";
import { encodeRevisionKey, type Revision } from "./revision.ts";

/** The marshalled KeyValue of a put that the index knows, shared with the backend, never written to. */
export function readRecord(backend: Backend, { main, sub }: Revision): Uint8Array {
  const record = backend.get("key", encodeRevisionKey(main, sub, false));
  if (record === undefined) invariant(false, `the backend has a record for revision ${main}.${sub}`);
  return record;
}
