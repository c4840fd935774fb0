import { invariant } from "../../../../base/invariant.ts";
import type { RaftOptions, SnapshotMeta } from "../../../../store/raft/types.ts";
import type { Directive } from "../../../support/data-driven.ts";
import { argumentsOf } from "./arguments.ts";
import type { Environment } from "./environment.ts";
import { Member } from "./member.ts";

/** What the reference's scripts run with (rafttest/interaction_env.go, raftConfigStub): no limits but what a script sets. */
export const ELECTION_TICKS = 3;
export const HEARTBEAT_TICKS = 1;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
const INFLIGHT_MESSAGES = 2 ** 31 - 1;

const ARGUMENTS = [
  "voters",
  "learners",
  "index",
  "inflight",
  "async-storage-writes",
  "prevote",
  "checkquorum",
  "max-committed-size-per-ready",
  "disable-conf-change-validation",
  "step-down-on-removal",
];

/** add-nodes <count> [voters=(1,2) index=3 …]: members with the next ids, which start behind a snapshot if one is given. */
export function addNodes(environment: Environment, directive: Directive): string | undefined {
  const args = argumentsOf(directive, ARGUMENTS);
  const start = bootstrap(args.values("voters"), args.values("learners"), Number(args.value("index") ?? 0));
  const limits: RaftOptions["limits"] = {
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: HEARTBEAT_TICKS,
    uncommittedBytes: NO_LIMIT,
    appendBytes: NO_LIMIT,
    inflightMessages: Number(args.value("inflight") ?? INFLIGHT_MESSAGES),
    inflightBytes: NO_LIMIT,
    applyingBytes: Number(args.value("max-committed-size-per-ready") ?? NO_LIMIT),
    pendingReads: NO_LIMIT,
  };
  const policy: RaftOptions["policy"] = {
    preVote: args.flag("prevote"),
    checkQuorum: args.flag("checkquorum"),
    stepDownOnRemoval: args.flag("step-down-on-removal"),
    validateConfChanges: !args.flag("disable-conf-change-validation"),
  };
  for (let count = Number(args.plain[0]); count > 0; count -= 1) {
    const id = BigInt(environment.members.length + 1);
    environment.members.push(
      new Member({
        id,
        start,
        options: { limits, policy, random: environment.timeouts.randomOf(id) },
        storage: args.flag("async-storage-writes") ? "async" : "sync",
      }),
    );
  }
  return undefined;
}

function bootstrap(voters: readonly string[], learners: readonly string[], index: number): SnapshotMeta {
  const isEmpty = voters.length === 0 && learners.length === 0 && index === 0;
  invariant(isEmpty || index > 1, "members that start behind a snapshot have an index above 1");
  return {
    term: isEmpty ? 0 : 1,
    index,
    confState: {
      voters: voters.map(BigInt),
      votersOutgoing: [],
      learners: learners.map(BigInt),
      learnersNext: [],
      autoLeave: false,
    },
  };
}
