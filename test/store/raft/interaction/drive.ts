import { invariant } from "../../../../base/invariant.ts";
import type { Directive } from "../../../support/data-driven.ts";
import { argumentsOf, membersOf } from "./arguments.ts";
import { describeMessage, describeReady, NO_WORK } from "./describe.ts";
import type { Environment } from "./environment.ts";
import { setLogLevel } from "./log-level.ts";
import type { Member, Round } from "./member.ts";
import { isLocal, type Work } from "./parcel.ts";

/** Rounds of a cluster that does not come to rest. */
const ROUNDS_MAX = 1_000;

type Step = (environment: Environment, member: Member) => void;

/** process-ready <id>…: takes the work of each member, and carries it out if its storage is not asynchronous. */
export function processReady(environment: Environment, directive: Directive): void {
  eachOf(environment, directive, "handling Ready", (_, member) => {
    const round = member.takeRound();
    if (round === undefined) environment.output.write(describeReady(NO_WORK));
    else carryOut(environment, member, round);
  });
}

/** process-append-thread <id>…: the oldest write of each member reaches the disk. */
export function processAppend(environment: Environment, directive: Directive): void {
  eachOf(environment, directive, "processing append thread", appendOnce);
}

/** process-apply-thread <id>…: the oldest committed entries of each member that wait are applied. */
export function processApply(environment: Environment, directive: Directive): void {
  eachOf(environment, directive, "processing apply thread", applyOnce);
}

/** deliver-msgs <id>… [drop=(id,…)] [type=MsgApp]: what is on its way to a member arrives there, or is lost. */
export function deliverMessages(environment: Environment, directive: Directive): void {
  const args = argumentsOf(directive, ["drop", "type"]);
  const type = args.value("type");
  let count = 0;
  for (const { key, values } of directive.args) {
    if (values.length === 0) count += deliver(environment, { to: BigInt(key), type, isLost: false });
    else if (key === "drop") {
      for (const id of values) count += deliver(environment, { to: BigInt(id), type, isLost: true });
    }
  }
  if (count === 0) environment.output.line("no messages");
}

/** stabilize [<id>…] [log-level=none]: these members, or all, work until there is nothing left to do. */
export function stabilize(environment: Environment, directive: Directive): string | undefined {
  const args = argumentsOf(directive, ["log-level"]);
  const named = membersOf(environment, args);
  const { output } = environment;
  const wasQuiet = output.isQuiet;
  const level = args.value("log-level");
  const refusal = level === undefined ? undefined : setLogLevel(output, level);
  if (refusal !== undefined) return refusal;
  const members = named.length > 0 ? named : environment.members;
  for (let round = 0; stabilizeOnce(environment, members); round += 1) {
    invariant(round < ROUNDS_MAX, `the cluster comes to rest within ${ROUNDS_MAX} rounds`);
  }
  output.isQuiet = wasQuiet;
  return undefined;
}

/** Returns false when there was nothing to do. */
function stabilizeOnce(environment: Environment, members: readonly Member[]): boolean {
  let didWork = false;
  const titled = (member: Member, title: string, work: () => void) => {
    didWork = true;
    environment.output.line(`> ${member.id} ${title}`);
    environment.output.indented(work);
  };
  for (const member of members) {
    const round = member.takeRound();
    if (round !== undefined) titled(member, "handling Ready", () => carryOut(environment, member, round));
  }
  for (const member of members) {
    const to = member.id;
    if (environment.pending(to).length === 0) continue;
    titled(member, "receiving messages", () => deliver(environment, { to, type: undefined, isLost: false }));
  }
  for (const member of members) {
    if (member.appendWork.length === 0) continue;
    titled(member, "processing append thread", () => {
      while (member.appendWork.length > 0) appendOnce(environment, member);
    });
  }
  for (const member of members) {
    if (member.applyWork.length === 0) continue;
    titled(member, "processing apply thread", () => {
      while (member.applyWork.length > 0) applyOnce(environment, member);
    });
  }
  return didWork;
}

function carryOut(environment: Environment, member: Member, round: Round): void {
  environment.output.write(describeReady(round.ready));
  if (member.storage === "sync") {
    if (round.write !== undefined) member.append(round.write);
    member.apply(round.committed);
  }
  environment.send(round.parcels);
  if (member.storage === "sync") member.advance(round);
}

function appendOnce(environment: Environment, member: Member): void {
  const work = member.appendWork.shift();
  if (work === undefined) environment.output.write("no append work to perform");
  else finish(environment, work, () => member.append(work.job));
}

function applyOnce(environment: Environment, member: Member): void {
  const work = member.applyWork.shift();
  if (work === undefined) environment.output.write("no apply work to perform");
  else finish(environment, work, () => member.apply(work.job));
}

function finish(environment: Environment, work: Work<unknown>, carryOutJob: () => void): void {
  const { output } = environment;
  output.line("Processing:");
  output.line(describeMessage(work.shown));
  carryOutJob();
  output.line("Responses:");
  for (const { shown } of work.responses) output.line(describeMessage(shown));
  environment.send(work.responses);
}

/** Returns how many messages there were. */
function deliver(
  environment: Environment,
  { to, type, isLost }: { readonly to: bigint; readonly type: string | undefined; readonly isLost: boolean },
): number {
  const { output } = environment;
  const parcels = environment.take(
    (parcel) =>
      parcel.shown.to === to &&
      !(isLost && isLocal(parcel)) &&
      (type === undefined || parcel.shown.type === type),
  );
  for (const parcel of parcels) {
    output.line(`${isLost ? "dropped: " : ""}${describeMessage(parcel.shown)}`);
    // A lost message may be for a member that is not there yet.
    const refusal = isLost ? undefined : parcel.arrive(environment.member(to));
    if (refusal !== undefined) output.line(refusal);
  }
  return parcels.length;
}

/** With a title above each when there are several. */
function eachOf(environment: Environment, directive: Directive, title: string, step: Step): void {
  const members = membersOf(environment, argumentsOf(directive));
  for (const member of members) {
    if (members.length === 1) step(environment, member);
    else {
      environment.output.line(`> ${member.id} ${title}`);
      environment.output.indented(() => step(environment, member));
    }
  }
}
