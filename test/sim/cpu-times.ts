/** CPU times of lives, as counts by their length: a total over many runs keeps no list of them. */
export interface CpuTimes {
  /** By tens of milliseconds, rounded up. */
  readonly counts: Readonly<Record<number, number>>;
  readonly slowest: { readonly seed: number; readonly ms: number };
}

export const NO_TIMES: CpuTimes = { counts: {}, slowest: { seed: 0, ms: 0 } };

const STEP_MS = 10;

export function withTime({ counts, slowest }: CpuTimes, seed: number, ms: number): CpuTimes {
  const step = Math.ceil(ms / STEP_MS);
  return {
    counts: { ...counts, [step]: (counts[step] ?? 0) + 1 },
    slowest: ms > slowest.ms ? { seed, ms: Math.round(ms) } : slowest,
  };
}

/** The time, to ten milliseconds, that `part` (0 to 1) of the lives do not exceed. */
export function percentileMs({ counts }: CpuTimes, part: number): number {
  const steps = Object.entries(counts).map(([step, count]) => ({ step: Number(step), count }));
  let left = part * steps.reduce((sum, { count }) => sum + count, 0);
  for (const { step, count } of steps.sort((a, b) => a.step - b.step)) {
    left -= count;
    if (left <= 0) return step * STEP_MS;
  }
  return 0;
}
