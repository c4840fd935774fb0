import { MoveLeaderRequest } from "../../store/proto/gen/rpc.ts";
import type { Caller } from "./caller.ts";
import type { Chance } from "./chance.ts";
import type { Fault } from "./faults.ts";
import { type Inhabitants, victim } from "./network-faults.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimMachine } from "./sim-machine.ts";

/** Fastest and slowest that a clock runs. */
export const CLOCK_RATE_MAX = 1.1;
const CLOCK_RATE_MIN = 0.9;

/** Disks that are slow, full or broken, clocks that drift and jump, and leaders that are told to go. */
export function machineFaults(cluster: SimCluster, caller: Caller, chance: Chance): readonly Fault[] {
  const who: Inhabitants = { ids: () => cluster.ids(), leader: () => cluster.leader() };
  const onOne = (strike: (machine: SimMachine) => { readonly what: string; mend(): void }) => () => {
    const machine = cluster.machines.get(victim(who, chance) ?? 0n);
    if (machine === undefined) return undefined;
    const { what, mend } = strike(machine);
    return { what: `${machine.name} ${what}`, mend };
  };
  return [
    {
      name: "slow disk",
      weight: 2,
      strike: onOne(({ disk }) => {
        disk.syncMs = chance.pick([5, 30, 150, 600]);
        return { what: `${disk.syncMs} ms`, mend: () => disk.repair() };
      }),
    },
    {
      name: "full disk",
      weight: 1,
      strike: onOne(({ disk }) => {
        disk.isFull = true;
        return { what: "", mend: () => disk.repair() };
      }),
    },
    {
      name: "failing disk",
      weight: 1,
      strike: onOne(({ disk }) => {
        const operation = chance.pick([
          "sync",
          "write",
          "read",
          "open",
          "rename",
          "syncFolder",
          "remove",
          "truncate",
        ] as const);
        disk.fail(operation, { once: chance.hits(0.7) });
        return { what: operation, mend: () => disk.repair() };
      }),
    },
    {
      name: "clock drift",
      weight: 1,
      strike: onOne(({ clock }) => {
        clock.rate = chance.between(CLOCK_RATE_MIN, CLOCK_RATE_MAX);
        return { what: clock.rate.toFixed(3), mend: nothing };
      }),
    },
    {
      name: "clock jump",
      weight: 1,
      strike: onOne(({ clock }) => {
        const ms = Math.floor(chance.between(-1, 1) * 10 ** chance.between(2, 9));
        clock.jumpWall(ms);
        return { what: `${ms} ms`, mend: nothing };
      }),
    },
    {
      name: "move leader",
      weight: 2,
      strike: () => {
        const id = cluster.leader();
        const to = chance.pick(cluster.ids());
        const endpoint = cluster.endpoints().find((each) => each?.process === cluster.processOf(id ?? 0n));
        if (endpoint === undefined) return undefined;
        const request = MoveLeaderRequest.encode({ targetID: to }).finish();
        void caller.call(endpoint, "/etcdserverpb.Maintenance/MoveLeader", request, { timeoutMs: 5000 });
        return { what: `to ${to.toString(16)}`, mend: nothing };
      },
    },
    {
      name: "stop",
      weight: 2,
      strike: onOne((machine) => {
        machine.keptDown += 1;
        cluster.stop(machine.id);
        return {
          what: "",
          mend: () => {
            machine.keptDown -= 1;
            cluster.start(machine.id);
          },
        };
      }),
    },
  ];
}

function nothing(): void {
  // What was done is over.
}
