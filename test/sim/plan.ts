import type { BulkLoad } from "./bulk-client.ts";
import { Chance } from "./chance.ts";
import type { Intensity } from "./faults.ts";
import type { KvLoad } from "./kv-client.ts";
import { fairWeather, type LinkWeather } from "./network.ts";
import type { MemberTuning } from "./sim-member.ts";
import type { WatchLoad } from "./watch-client.ts";

/** What a seed decides before anything happens. Everything rare is common in some seed. */
export interface Plan {
  readonly chance: Chance;
  readonly theme: "any" | "elections";
  readonly members: number;
  readonly virtualMs: number;
  readonly tuning: MemberTuning;
  readonly intensity: Intensity;
  /** Between two changes of the members, typically; 0: there are none. */
  readonly operatorPauseMs: number;
  /** Of the kinds of faults, by their names, a seed has some. */
  readonly hasFault: (name: string) => boolean;
  /** Between members, while there is no fault. */
  readonly weather: LinkWeather;
  readonly keys: readonly string[];
  readonly kvClients: number;
  readonly leaseClients: number;
  readonly watchClients: number;
  readonly watchLoad: Pick<WatchLoad, "stayMs" | "absenceRate">;
  readonly load: KvLoad;
  /** Of a client that changes many keys at once; undefined: there is none. */
  readonly bulk: BulkLoad | undefined;
  /** Messages between members go through the codec of the wire. */
  readonly encodesMessages: boolean;
  /** Typical time between a client and a member. */
  readonly clientDelayMs: number;
}

const ELECTION_FAULTS = ["crash new leaders", "crash and restart at once"];

/** Calls of all clients that a seed has, more or less: what a long one has is spread out. */
const CALLS = 220;

/** Part of the seeds with requests that change many keys. */
const BULK_RATE = 0.06;
/** That all of them put in a life, more or less. */
const BULK_KEYS = 1500;

export function planOf(seed: number): Plan {
  const chance = new Chance(seed ^ 0x5eed);
  const theme = chance.hits(0.15) ? "elections" : "any";
  const minutes = chance.hits(0.9) ? 1 : 2 + chance.below(9);
  const kvClients = 1 + chance.below(4);
  const valueBytes = chance.pick([8, 40, 400]);
  const common = {
    chance,
    theme,
    virtualMs: minutes * 60_000,
    tuning: tuningOf(chance, minutes),
    keys: "abcdefgh".slice(0, chance.pick([1, 2, 4, 8])).split(""),
    kvClients,
    leaseClients: chance.below(3),
    watchClients: 1 + chance.below(3),
    watchLoad: { stayMs: 8000 * minutes, absenceRate: chance.pick([0, 0.1, 0.5]) },
    load: {
      thinkMs: (minutes * 60_000 * kvClients) / CALLS / 1.5,
      writeRate: chance.pick([0.3, 0.6, 0.9]),
      compacts: chance.hits(0.4),
      valueBytes,
    },
    bulk: chance.hits(BULK_RATE) ? bulkOf(chance, minutes) : undefined,
    encodesMessages: chance.hits(0.25),
    clientDelayMs: chance.pick([0.2, 1, 10]),
  } as const;
  if (theme === "elections") return electionsPlan(common, minutes);
  return {
    ...common,
    members: chance.pick([1, 3, 3, 3, 3, 3, 3, 5]),
    intensity: {
      pauseMs: chance.pick([800, 2000, 5000]) * minutes,
      durationMs: chance.pick([1000, 3000, 8000]) * minutes,
    },
    operatorPauseMs: chance.pick([0, 0, 0, 2000, 5000]) * minutes,
    hasFault: () => chance.hits(0.5),
    weather: fairWeather(chance.pick([0.3, 0.3, 3, 30])),
  };
}

type Common = Omit<Plan, "members" | "intensity" | "operatorPauseMs" | "hasFault" | "weather">;

/** Leaders that live for a moment, on a slow network, and entries that travel alone (Raft, figure 8). */
function electionsPlan(common: Common, minutes: number): Plan {
  const { chance, tuning } = common;
  return {
    ...common,
    tuning: { ...tuning, limits: { ...tuning.limits, electionTicks: 4, appendBytes: 0 } },
    members: 3,
    intensity: { pauseMs: 300 * minutes, durationMs: 3000 * minutes },
    operatorPauseMs: 0,
    hasFault: (name) => ELECTION_FAULTS.includes(name),
    weather: fairWeather(chance.pick([10, 30])),
  };
}

function tuningOf(chance: Chance, minutes: number): MemberTuning {
  return {
    turnMs: chance.pick([0, 0.2, 2]),
    readingMs: chance.pick([0, 0, 0.1, 1]),
    corruptCheckMs: chance.pick([0, 7000]) * minutes,
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
      applyMs: chance.pick([0, 10]),
      applyingBytes: chance.pick([100, 100_000]),
      appendBytes: chance.pick([0, 100, 100_000]),
      inflightMessages: chance.pick([1, 4, 512]),
      inflightBytes: chance.pick([1000, 1024 * 1024]),
      uncommittedBytes: chance.pick([5000, 1024 * 1024]),
      pendingReads: chance.pick([2, 4096]),
    },
  };
}

function bulkOf(chance: Chance, minutes: number): BulkLoad {
  const keys = chance.pick([150, 600, 1200]);
  return { keys, pauseMs: (minutes * 60_000 * keys) / BULK_KEYS / 2 };
}
