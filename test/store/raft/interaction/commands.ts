import { invariant } from "../../../../base/invariant.ts";
import type { ProposeOutcome } from "../../../../store/raft/types.ts";
import type { Directive } from "../../../support/data-driven.ts";
import { addNodes, ELECTION_TICKS, HEARTBEAT_TICKS } from "./add-nodes.ts";
import { argumentsOf, memberOf, membersOf } from "./arguments.ts";
import { parseConfChange, parseTransition } from "./conf-change-text.ts";
import { describeEntry, describeMessage, describeProgress, describeRole } from "./describe.ts";
import { deliverMessages, processAppend, processApply, processReady, stabilize } from "./drive.ts";
import type { Environment } from "./environment.ts";
import { setLogLevel } from "./log-level.ts";
import type { Member } from "./member.ts";
import { parcelOf } from "./parcel.ts";

/** Carries out a directive. What it returns is an error that the reference prints. */
// biome-ignore lint/suspicious/noConfusingVoidType: most commands cannot be refused, and return nothing.
type Command = (environment: Environment, directive: Directive) => string | undefined | void;

/** The commands of etcd-io/raft's interaction scripts (rafttest/interaction_env_handler.go), but for "forget-leader". */
export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["add-nodes", addNodes],
  ["campaign", (environment, directive) => memberOf(environment, argumentsOf(directive)).core.campaign()],
  ["compact", compact],
  ["deliver-msgs", deliverMessages],
  ["log-level", logLevel],
  ["process-append-thread", processAppend],
  ["process-apply-thread", processApply],
  ["process-ready", processReady],
  ["propose", propose],
  ["propose-conf-change", proposeConfChange],
  ["raft-log", raftLog],
  ["raft-state", raftState],
  ["report-unreachable", reportUnreachable],
  ["send-snapshot", sendSnapshot],
  ["set-randomized-election-timeout", setElectionTimeout],
  ["stabilize", stabilize],
  ["status", status],
  ["tick-election", (environment, directive) => tick(environment, directive, ELECTION_TICKS)],
  ["tick-heartbeat", (environment, directive) => tick(environment, directive, HEARTBEAT_TICKS)],
  ["transfer-leadership", transferLeadership],
]);

/** compact <id> <index>: entries up to the index are forgotten; prints what is left. */
function compact(environment: Environment, directive: Directive): void {
  const args = argumentsOf(directive);
  const member = memberOf(environment, args);
  const index = Number(args.plain[1]);
  member.log.compact(index);
  member.core.compact(index, { entries: 0, bytes: 0 });
  printLog(environment, member);
}

function logLevel(environment: Environment, directive: Directive): string | undefined {
  return setLogLevel(environment.output, argumentsOf(directive).plain[0] ?? "");
}

/** propose <id> <data> */
function propose(environment: Environment, directive: Directive): string | undefined {
  const args = argumentsOf(directive);
  invariant(args.plain.length === 2, `${directive.position} proposes one word`);
  return refusalOf(memberOf(environment, args).core.propose(Buffer.from(args.plain[1] ?? "")));
}

/** propose-conf-change <id> [v1=true] [transition=auto|implicit|explicit], and the changes in the next line. */
function proposeConfChange(environment: Environment, directive: Directive): string | undefined {
  const args = argumentsOf(directive, ["v1", "transition"]);
  const change = parseConfChange(directive.input, {
    version: args.flag("v1") ? "v1" : "v2",
    transition: parseTransition(args.value("transition") ?? "auto"),
  });
  return refusalOf(memberOf(environment, args).core.proposeConfChange(change));
}

function refusalOf(outcome: ProposeOutcome): string | undefined {
  return outcome === "accepted" ? undefined : "raft proposal dropped";
}

/** raft-log <id>: what is on the member's disk. */
function raftLog(environment: Environment, directive: Directive): void {
  printLog(environment, memberOf(environment, argumentsOf(directive)));
}

function printLog({ output }: Environment, { log }: Member): void {
  const { firstIndex, lastIndex } = log;
  if (lastIndex < firstIndex)
    output.write(`log is empty: first index=${firstIndex}, last index=${lastIndex}`);
  for (const entry of log.entries) output.line(describeEntry(entry));
}

/** raft-state: one line a member, as it sees itself. */
function raftState({ members, output }: Environment): void {
  for (const { id, core, isVoter } of members) {
    const { role, term, leader } = core.status;
    const kind = isVoter ? "(Voter)" : "(Non-Voter)";
    output.line(`${id}: ${describeRole(role)} ${kind} Term:${term} Lead:${leader}`);
  }
}

/** report-unreachable <id> <of>: the second could not be reached by the first. */
function reportUnreachable(environment: Environment, directive: Directive): void {
  const [member, other] = membersOf(environment, argumentsOf(directive));
  invariant(member !== undefined && other !== undefined, `${directive.position} names two members`);
  member.core.reportUnreachable(other.id);
}

/** send-snapshot <from> <to>: queues a snapshot that no core asked for. */
function sendSnapshot(environment: Environment, directive: Directive): void {
  const [from, to] = membersOf(environment, argumentsOf(directive));
  invariant(from !== undefined && to !== undefined, `${directive.position} names two members`);
  const { term } = from.core.status;
  const parcel = parcelOf({ kind: "snapshot", from: from.id, to: to.id, term, snapshot: from.snapshot });
  environment.send([parcel]);
  environment.output.write(describeMessage(parcel.shown));
}

/** set-randomized-election-timeout <id> timeout=<ticks> */
function setElectionTimeout(environment: Environment, directive: Directive): void {
  const args = argumentsOf(directive, ["timeout"]);
  environment.timeouts.set(memberOf(environment, args).id, Number(args.value("timeout")));
}

/** status <id>: how far the others are, as a leader knows. */
function status(environment: Environment, directive: Directive): void {
  const member = memberOf(environment, argumentsOf(directive));
  environment.output.write(describeProgress(member.core.progress()));
}

function tick(environment: Environment, directive: Directive, ticks: number): void {
  const { core } = memberOf(environment, argumentsOf(directive));
  for (let count = 0; count < ticks; count += 1) core.tick();
}

/** transfer-leadership from=<id> to=<id> */
function transferLeadership(environment: Environment, directive: Directive): void {
  const args = argumentsOf(directive, ["from", "to"]);
  const to = environment.member(BigInt(args.value("to") ?? ""));
  environment.member(BigInt(args.value("from") ?? "")).core.transferLeader(to.id);
}
