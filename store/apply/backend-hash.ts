import { crc32c } from "@node-rs/crc32";
import { type Backend, BUCKETS, type Bucket } from "../backend/port.ts";

/** Records of a bucket between two yields: a few milliseconds. */
const RECORDS_A_STEP = 500;
/** Behind a key it makes the next possible one. */
const ZERO = Buffer.from([0]);

/**
 * What is in `meta` and differs between members that hold the same state: the file's own format and log, how far this member
 * is in the log, and how far it is with dropping what was compacted.
 */
const OWN_META: ReadonlySet<string> = new Set([
  "formatVersion",
  "log_id",
  "consistent_index",
  "term",
  "finishedCompactRev",
]);

/**
 * The hash of `key` goes on over every other bucket, in steps: CRC-32C of each one's name and pairs, as etcd's
 * Maintenance.Hash does (backend.go Hash). Of members that have applied the same entries it is the same; over writes that
 * are applied meanwhile it is of no use.
 */
export function* hashBuckets(
  backend: Pick<Backend, "range">,
  keysHash: number,
): Generator<undefined, number> {
  let hash = keysHash;
  for (const bucket of BUCKETS.filter((name) => name !== "key")) {
    hash = yield* hashBucket(backend, bucket, crc32c(bucket, hash));
  }
  return hash;
}

function* hashBucket(
  backend: Pick<Backend, "range">,
  bucket: Bucket,
  before: number,
): Generator<undefined, number> {
  let hash = before;
  for (let from: Uint8Array = Buffer.alloc(0); ; ) {
    const pairs = [...backend.range(bucket, from, undefined, RECORDS_A_STEP)];
    for (const { key, value } of pairs) {
      if (bucket === "meta" && OWN_META.has(Buffer.from(key).toString())) continue;
      hash = crc32c(value, crc32c(key, hash));
    }
    const last = pairs.at(-1);
    if (last === undefined || pairs.length < RECORDS_A_STEP) return hash;
    from = Buffer.concat([last.key, ZERO]);
    yield;
  }
}
