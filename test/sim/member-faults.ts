import type { Chance } from "./chance.ts";
import type { Fault } from "./faults.ts";
import { type Inhabitants, victim } from "./network-faults.ts";
import type { SimProcess } from "./sim-process.ts";

/** What can be done to members as processes. */
export interface Mortals extends Inhabitants {
  /** Its present life; undefined while it is down. */
  processOf(id: bigint): SimProcess | undefined;
  crash(id: bigint): void;
  start(id: bigint): void;
  /** Told of each new leader. Returns how to end that. */
  onLeader(listener: (id: bigint) => void): () => void;
  /** Told of each pause in the middle of an entry, when any takes several turns to apply. Returns how to end that. */
  onHalfEntry?(listener: (id: bigint) => void): () => void;
  /** In virtual time, whoever dies meanwhile. */
  after(ms: number, run: () => void): void;
}

/** By one fault: a lone voter leads as soon as it is up, thousands of times, and nothing new comes of it. */
const CRASHES_MAX = 30;

/** Crashes of one and of all, and pauses. */
export function memberFaults(who: Mortals, chance: Chance): readonly Fault[] {
  const up = () => who.ids().filter((id) => who.processOf(id) !== undefined);
  const crash = (ids: readonly bigint[]) => {
    if (ids.length === 0) return undefined;
    for (const id of ids) who.crash(id);
    return {
      what: ids.map((id) => id.toString(16)).join(","),
      mend: () => {
        for (const id of ids) who.start(id);
      },
    };
  };
  /** Of one fault: who is given to it does not live long, until there were too many. */
  const crashes: Crashes = ({ restartMs, lifeMs }) => {
    let left = CRASHES_MAX;
    return (id: bigint) => {
      left -= 1;
      if (left < 0) return;
      const process = who.processOf(id);
      who.after(chance.longTail(lifeMs), () => {
        if (process === undefined || who.processOf(id) !== process) return;
        who.crash(id);
        who.after(chance.longTail(restartMs), () => who.start(id));
      });
    };
  };
  const living = { ids: up, leader: () => who.leader() };
  return [
    {
      name: "crash",
      weight: 5,
      strike: () => {
        const id = victim(living, chance);
        return crash(id === undefined ? [] : [id]);
      },
    },
    {
      // An election is where most can go wrong: each leader, for a while, lives only for a moment.
      name: "crash new leaders",
      weight: 3,
      strike: () => {
        const restartMs = chance.pick([100, 1000, 3000]);
        const lifeMs = chance.pick([5, 20, 100]);
        const crashSoon = crashes({ restartMs, lifeMs });
        return { what: `after ${lifeMs} ms, for ${restartMs} ms`, mend: who.onLeader(crashSoon) };
      },
    },
    ...whileApplying(who, chance, crashes),
    { name: "crash all", weight: 1, strike: () => crash(up()) },
    {
      name: "crash and restart at once",
      weight: 2,
      strike: () => {
        const id = victim(living, chance);
        const struck = crash(id === undefined ? [] : [id]);
        struck?.mend();
        return struck;
      },
    },
    {
      name: "pause",
      weight: 3,
      strike: () => {
        const id = victim(living, chance);
        const process = id === undefined ? undefined : who.processOf(id);
        if (id === undefined || process === undefined) return undefined;
        process.pause();
        return { what: id.toString(16), mend: () => process.resume() };
      },
    },
  ];
}

type Crashes = (how: { readonly restartMs: number; readonly lifeMs: number }) => (id: bigint) => void;

/** What is durable of an entry's half, and what another half is made of. */
function whileApplying(who: Mortals, chance: Chance, crashes: Crashes): readonly Fault[] {
  if (who.onHalfEntry === undefined) return [];
  const { onHalfEntry } = who;
  return [
    {
      name: "crash while applying",
      weight: 3,
      strike: () => {
        const restartMs = chance.pick([100, 1000]);
        const lifeMs = chance.pick([0, 1, 5]);
        const crashSoon = crashes({ restartMs, lifeMs });
        const end = onHalfEntry((id) => {
          if (chance.hits(0.3)) crashSoon(id);
        });
        return { what: `after ${lifeMs} ms, for ${restartMs} ms`, mend: end };
      },
    },
  ];
}
