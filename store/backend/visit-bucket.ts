import type { Backend, BackendPair, Bucket } from "./port.ts";

/** Pairs between two yields: a few milliseconds. */
const PAIRS_A_STEP = 500;
/** Behind a key it makes the next possible one. */
const ZERO = Buffer.from([0]);

/** Visits the pairs of a bucket in order and in steps, between which the bucket may be written to. */
export function* visitBucket(
  backend: Pick<Backend, "range">,
  bucket: Bucket,
  visit: (pair: BackendPair) => void,
): Generator<undefined, void> {
  for (let from: Uint8Array = Buffer.alloc(0); ; ) {
    const pairs = [...backend.range(bucket, from, undefined, PAIRS_A_STEP)];
    for (const pair of pairs) visit(pair);
    const last = pairs.at(-1);
    if (last === undefined || pairs.length < PAIRS_A_STEP) return;
    from = Buffer.concat([last.key, ZERO]);
    yield;
  }
}
