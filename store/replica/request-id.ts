import type { Clock } from "../../base/clock.ts";

const LOW_16 = 0xffffn;
const LOW_40 = (1n << 40n) - 1n;
const LOW_48 = (1n << 48n) - 1n;

/**
 * Makes request ids that no other member and no earlier run of this one uses (the layout of etcd's `idutil`): the
 * member id's low 16 bits, then 40 bits of wall time in milliseconds, then 8 bits of a counter that carries over into
 * the time, which cannot catch up with the clock below 256 ids a millisecond.
 */
export function createRequestIds(memberId: bigint, clock: Clock): () => bigint {
  const prefix = (memberId & LOW_16) << 48n;
  let suffix = (BigInt(Math.floor(clock.wallMs())) & LOW_40) << 8n;
  return () => {
    suffix += 1n;
    return prefix | (suffix & LOW_48);
  };
}
