import type { Random } from "../../base/random.ts";

/** 72 random bits: among 10^9 files of a fleet, the chance that two share an id is one in 9,000. */
const RANDOM_BITS = 72n;
const ID_LENGTH = 14;

/** A new file id: 14 characters of 0-9 a-z, unique in the fleet without asking anybody. */
export function mintFileId(random: Random): string {
  const bits = ((random.uint64() << 64n) | random.uint64()) & ((1n << RANDOM_BITS) - 1n);
  return bits.toString(36).padStart(ID_LENGTH, "0");
}
