import { webcrypto } from "node:crypto";

/** Randomness as a port, so that a seed replays every decision made with it. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** 64 random bits, as an unsigned integer. */
  uint64(): bigint;
}

/** The machine's randomness. */
export const systemRandom: Random = {
  next: () => Math.random(),
  uint64: () => {
    const words = webcrypto.getRandomValues(new BigUint64Array(1));
    return words[0] as bigint;
  },
};

/** A generator that gives the same numbers for the same seed (mulberry32, 32 bits of state). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const uint32 = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    next: () => uint32() / 2 ** 32,
    uint64: () => (BigInt(uint32()) << 32n) | BigInt(uint32()),
  };
}
