import type { ConfChange, ConfChangeTransition, SingleChange } from "../../store/raft/conf-change.ts";
import type { Chance } from "./chance.ts";
import type { CoreCluster } from "./core-cluster.ts";
import type { Fault } from "./faults.ts";

const MEMBERS_MAX = 5;

/** Changes of who votes and who listens, single and joint, asked of anybody. */
export function coreMembership(cluster: CoreCluster, chance: Chance): readonly Fault[] {
  return [
    {
      name: "membership",
      weight: 3,
      strike: () => {
        const confState = cluster.confState();
        const at = cluster.leader();
        if (confState === undefined || at === undefined) return undefined;
        const { voters, learners } = confState;
        const changes: SingleChange[] = [];
        const count = chance.hits(0.3) ? 2 : 1;
        for (let i = 0; i < count; i += 1) changes.push(oneChange({ cluster, chance, voters, learners }));
        const transition: ConfChangeTransition = chance.hits(0.2) ? "jointImplicit" : "auto";
        const change: ConfChange = { transition, changes, context: new Uint8Array(0) };
        cluster.change(at, change);
        return {
          what: changes.map(({ kind, id }) => `${kind} ${id.toString(16)}`).join(", "),
          mend: nothing,
        };
      },
    },
    {
      name: "transfer",
      weight: 2,
      strike: () => {
        const member = chance.pick(cluster.members);
        const to = chance.pick(cluster.ids());
        if (member?.process.fate !== "alive") return undefined;
        member.core.transferLeader(to);
        member.schedule();
        return { what: `to ${to.toString(16)}`, mend: nothing };
      },
    },
  ];
}

function nothing(): void {
  // What was asked for is over.
}

function oneChange(now: {
  readonly cluster: CoreCluster;
  readonly chance: Chance;
  readonly voters: readonly bigint[];
  readonly learners: readonly bigint[];
}): SingleChange {
  const { cluster, chance, voters, learners } = now;
  if (learners.length > 0 && chance.hits(0.5)) return { kind: "addVoter", id: chance.pick(learners) };
  const isFull = voters.length + learners.length >= MEMBERS_MAX;
  if (voters.length > 1 && (isFull || chance.hits(0.4))) return { kind: "remove", id: chance.pick(voters) };
  return { kind: chance.hits(0.5) ? "addLearner" : "addVoter", id: cluster.join() };
}
