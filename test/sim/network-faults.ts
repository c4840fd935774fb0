import type { Chance } from "./chance.ts";
import type { Fault } from "./faults.ts";
import type { LinkWeather, Network } from "./network.ts";

type Way = readonly [from: bigint, to: bigint];

/** Who is on the network now. */
export interface Inhabitants {
  ids(): readonly bigint[];
  leader(): bigint | undefined;
}

/** What can happen to a network: cuts in one direction and in both, partitions, and bad weather. */
export function networkFaults(network: Network, who: Inhabitants, chance: Chance): readonly Fault[] {
  const cut = (what: string, ways: readonly Way[]) =>
    ways.length === 0 ? undefined : { what, mend: network.cut(ways) };
  return [
    {
      name: "cut one way",
      weight: 2,
      strike: () => {
        const [from, to] = chance.shuffled(who.ids());
        return from === undefined || to === undefined
          ? undefined
          : cut(`${hex(from)}→${hex(to)}`, [[from, to]]);
      },
    },
    {
      name: "isolate",
      weight: 3,
      strike: () => {
        const one = victim(who, chance);
        return one === undefined ? undefined : cut(hex(one), bothWays([one], others(who, [one])));
      },
    },
    {
      name: "deafen or silence",
      weight: 2,
      strike: () => {
        const one = victim(who, chance);
        if (one === undefined) return undefined;
        const isDeaf = chance.hits(0.5);
        const ways = others(who, [one]).map((other): Way => (isDeaf ? [other, one] : [one, other]));
        return cut(`${hex(one)} ${isDeaf ? "hears" : "is heard by"} nobody`, ways);
      },
    },
    {
      name: "partition",
      weight: 3,
      strike: () => {
        const ids = chance.shuffled(who.ids());
        const half = ids.slice(0, 1 + chance.below(ids.length - 1));
        return cut(half.map(hex).join(","), bothWays(half, others(who, half)));
      },
    },
    {
      name: "weather",
      weight: 3,
      strike: () => {
        const weather = badWeather(chance);
        network.setWeather(weather);
        return { what: JSON.stringify(weather), mend: () => network.setWeather() };
      },
    },
    {
      name: "bad link",
      weight: 2,
      strike: () => {
        const [from, to] = chance.shuffled(who.ids());
        if (from === undefined || to === undefined) return undefined;
        const weather = badWeather(chance);
        network.setLinkWeather(from, to, weather);
        return {
          what: `${hex(from)}→${hex(to)} ${JSON.stringify(weather)}`,
          mend: () => network.setLinkWeather(from, to),
        };
      },
    },
  ];
}

/** The leader more often than chance would have it: what happens to it matters most. */
export function victim(who: Inhabitants, chance: Chance): bigint | undefined {
  const ids = who.ids();
  if (ids.length === 0) return undefined;
  const leader = who.leader();
  return leader !== undefined && chance.hits(0.5) ? leader : chance.pick(ids);
}

function badWeather(chance: Chance): LinkWeather {
  const some = (most: number) => (chance.hits(0.5) ? Number((chance.next() * most).toFixed(3)) : 0);
  return {
    dropRate: some(0.4),
    duplicateRate: some(0.4),
    reorderRate: some(0.4),
    delayMs: chance.pick([0.3, 3, 20, 80]),
  };
}

function others(who: Inhabitants, group: readonly bigint[]): readonly bigint[] {
  return who.ids().filter((id) => !group.includes(id));
}

function bothWays(group: readonly bigint[], rest: readonly bigint[]): readonly Way[] {
  return group.flatMap((one) =>
    rest.flatMap((other): Way[] => [
      [one, other],
      [other, one],
    ]),
  );
}

function hex(id: bigint): string {
  return id.toString(16);
}
