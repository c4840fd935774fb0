import { crc32c } from "@node-rs/crc32";
import { type Backend, BUCKETS } from "../backend/port.ts";
import { visitBucket } from "../backend/visit-bucket.ts";

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
    hash = crc32c(bucket, hash);
    yield* visitBucket(backend, bucket, ({ key, value }) => {
      if (bucket === "meta" && OWN_META.has(Buffer.from(key).toString())) return;
      hash = crc32c(value, crc32c(key, hash));
    });
  }
  return hash;
}
