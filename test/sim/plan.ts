import { Chance } from "./chance.ts";
import type { Intensity } from "./faults.ts";
import type { KvLoad } from "./kv-client.ts";
import { fairWeather, type LinkWeather } from "./network.ts";
import type { MemberTuning } from "./sim-member.ts";

/** What a seed decides before anything happens. Everything rare is common in some seed. */
export interface Plan {
  readonly chance: Chance;
  readonly members: number;
  readonly virtualMs: number;
  readonly tuning: MemberTuning;
  readonly intensity: Intensity;
  /** Between two changes of the members, typically; 0: there are none. */
  readonly operatorPauseMs: number;
  /** Part of the kinds of faults that this seed has. */
  readonly faultRate: number;
  /** Between members, while there is no fault. */
  readonly weather: LinkWeather;
  readonly keys: readonly string[];
  readonly kvClients: number;
  readonly leaseClients: number;
  readonly watchClients: number;
  readonly load: KvLoad;
  /** Typical time between a client and a member. */
  readonly clientDelayMs: number;
}

/** Calls of all clients that a seed has, more or less: what a long one has is spread out. */
const CALLS = 220;

export function planOf(seed: number): Plan {
  const chance = new Chance(seed ^ 0x5eed);
  const minutes = chance.hits(0.9) ? 1 : 2 + chance.below(9);
  const kvClients = 1 + chance.below(4);
  const valueBytes = chance.pick([8, 40, 400]);
  return {
    chance,
    members: chance.pick([1, 3, 3, 3, 3, 3, 3, 5]),
    virtualMs: minutes * 60_000,
    tuning: tuningOf(chance, minutes),
    intensity: {
      pauseMs: chance.pick([800, 2000, 5000]) * minutes,
      durationMs: chance.pick([1000, 3000, 8000]) * minutes,
    },
    operatorPauseMs: chance.pick([0, 0, 0, 2000, 5000]) * minutes,
    faultRate: chance.pick([0.2, 0.5, 0.8]),
    weather: fairWeather(chance.pick([0.3, 0.3, 3, 30])),
    keys: "abcdefgh".slice(0, chance.pick([1, 2, 4, 8])).split(""),
    kvClients,
    leaseClients: chance.below(3),
    watchClients: 1 + chance.below(3),
    load: {
      thinkMs: (minutes * 60_000 * kvClients) / CALLS / 1.5,
      writeRate: chance.pick([0.3, 0.6, 0.9]),
      compacts: chance.hits(0.4),
      valueBytes,
    },
    clientDelayMs: chance.pick([0.2, 1, 10]),
  };
}

function tuningOf(chance: Chance, minutes: number): MemberTuning {
  return {
    turnMs: chance.pick([0, 0.2, 2]),
    limits: {
      // A long life has slower clocks: its minutes cost no more than a short one's.
      tickMs: 100 * minutes,
      electionTicks: 10,
      heartbeatTicks: 1,
      requestTimeoutMs: 5000 + 2000 * minutes,
      segmentBytes: chance.pick([4, 16, 64]) * 1024,
      keptEntries: chance.pick([0, 5, 50, 5000]),
      keptBytes: chance.pick([1024, 1024 * 1024]),
      flushMs: chance.pick([50, 100, 1000]),
      flushBytes: chance.pick([500, 10_000]),
      unflushedBytes: 1024 * 1024,
      writeBytes: chance.pick([200, 100_000]),
      applyingBytes: chance.pick([100, 100_000]),
      appendBytes: chance.pick([0, 100, 100_000]),
      inflightMessages: chance.pick([1, 4, 512]),
      inflightBytes: chance.pick([1000, 1024 * 1024]),
      uncommittedBytes: chance.pick([5000, 1024 * 1024]),
      pendingReads: chance.pick([2, 4096]),
    },
  };
}
