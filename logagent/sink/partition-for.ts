import type { ShippedFile } from "./port.ts";

/** Hash of a file's identity; a file keeps its `ip` and `path` for life. */
const hashes = new WeakMap<ShippedFile, number>();

/**
 * The partition for lines of a file, 0 to `partitions` - 1: the one that a Java producer would choose for their key. Lines without
 * one go by `ip` and `path`, as if that were their key, so that a path's lines keep their order across rotations.
 */
export function partitionFor(file: ShippedFile, key: Uint8Array | undefined, partitions: number): number {
  if (partitions === 1) return 0;
  if (key !== undefined) return (murmur2(key) & 0x7fffffff) % partitions;
  let hash = hashes.get(file);
  if (hash === undefined) {
    hash = murmur2(Buffer.from(file.ip + file.path)) & 0x7fffffff;
    hashes.set(file, hash);
  }
  return hash % partitions;
}

/** MurmurHash2, 32 bits, with the seed of Kafka's default partitioner. */
function murmur2(bytes: Uint8Array): number {
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ bytes.length;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    h = Math.imul(h, m) ^ Math.imul(k, m);
  }
  const rest = bytes.length - i;
  if (rest === 3) h ^= bytes[i + 2]! << 16;
  if (rest >= 2) h ^= bytes[i + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ bytes[i]!, m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
}
