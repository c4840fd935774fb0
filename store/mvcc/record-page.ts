import type { Backend, BackendPair } from "../backend/port.ts";
import { keyBehind } from "./revision.ts";

/** Records read between two yields, and their bytes, after which no more are: a few milliseconds. */
const RECORDS_A_STEP = 500;
const BYTES_A_STEP = 1024 * 1024;

/** Records in the order of revisions; `rest`: where to read on, undefined when there is nothing behind them. */
export interface RecordPage {
  readonly pairs: readonly BackendPair[];
  readonly rest: Buffer | undefined;
}

/** As many records from `from` on, before `end`, as one step may read. */
export function readPage(backend: Backend, from: Uint8Array, end: Uint8Array): RecordPage {
  const pairs: BackendPair[] = [];
  let bytes = 0;
  for (const pair of backend.range("key", from, end, RECORDS_A_STEP)) {
    pairs.push(pair);
    bytes += pair.value.byteLength;
    if (pairs.length === RECORDS_A_STEP || bytes >= BYTES_A_STEP) {
      return { pairs, rest: keyBehind(pair.key) };
    }
  }
  return { pairs, rest: undefined };
}
