import { CodedError } from "../../base/errors.ts";
import type { ConfChangeErrorCode, SingleChange } from "./conf-change.ts";
import { type InflightLimits, Inflights } from "./inflights.ts";
import { Progress } from "./progress.ts";
import { emptyTrackerState, type TrackerConfig, type TrackerState } from "./tracker.ts";
import type { ConfState } from "./types.ts";

/**
 * How a configuration becomes another (Raft thesis §4; etcd confchange.Changer). Nothing that is passed in is changed: a
 * change that does not fit is thrown as a CodedError ECONFCHANGE, with etcd's words. A result takes the place of its
 * base: the records of members that stay share their inflights with it.
 */
export interface ChangeBase {
  readonly config: TrackerConfig;
  readonly progress: ReadonlyMap<bigint, Progress>;
  readonly fresh: FreshProgress;
}

/** What the record of an added member starts from. */
export interface FreshProgress {
  /** The leader's last entry: the first that a new member is probed with. */
  readonly lastIndex: number;
  readonly inflights: InflightLimits;
}

/** Makes the changes at once. Together they may add or remove one voter at most. */
export function simpleChange(base: ChangeBase, changes: readonly SingleChange[]): TrackerState {
  const draft = draftOf(base);
  if (isJoint(draft)) throw refusal("can't apply simple config change in joint config");
  makeChanges(draft, changes, base.fresh);
  if (base.config.voters.incoming.symmetricDifference(draft.incoming).size > 1)
    throw refusal("more than one voter changed without entering joint config");
  return finished(draft, { autoLeave: false });
}

/** Makes the present voters the outgoing half, and the changes to the incoming one. */
export function enterJoint(
  base: ChangeBase,
  { autoLeave }: { readonly autoLeave: boolean },
  changes: readonly SingleChange[],
): TrackerState {
  const draft = draftOf(base);
  if (isJoint(draft)) throw refusal("config is already joint");
  if (draft.incoming.size === 0) throw refusal("can't make a zero-voter config joint");
  draft.outgoing = new Set(draft.incoming);
  makeChanges(draft, changes, base.fresh);
  return finished(draft, { autoLeave });
}

/** The incoming voters decide alone from now on; voters that were demoted become learners. */
export function leaveJoint(base: Pick<ChangeBase, "config" | "progress">): TrackerState {
  const draft = draftOf(base);
  if (!isJoint(draft)) throw refusal("can't leave a non-joint config");
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    setRole(draft, id, "learner");
  }
  draft.learnersNext.clear();
  for (const id of draft.outgoing)
    if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  draft.outgoing.clear();
  return finished(draft, { autoLeave: false });
}

/** The configuration that `confState` describes, with new records (etcd confchange.Restore). */
export function restoreConfig(confState: ConfState, fresh: FreshProgress): TrackerState {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = confState;
  const incoming = [
    ...changesTo("remove", votersOutgoing),
    ...changesTo("addVoter", voters),
    ...changesTo("addLearner", learners),
    ...changesTo("addLearner", learnersNext),
  ];
  const one = (base: TrackerState, change: SingleChange) => simpleChange({ ...base, fresh }, [change]);
  if (votersOutgoing.length === 0) return incoming.reduce(one, emptyTrackerState());
  const outgoing = changesTo("addVoter", votersOutgoing).reduce(one, emptyTrackerState());
  return enterJoint({ ...outgoing, fresh }, { autoLeave }, incoming);
}

interface Draft {
  readonly incoming: Set<bigint>;
  outgoing: Set<bigint>;
  readonly learners: Set<bigint>;
  readonly learnersNext: Set<bigint>;
  readonly progress: Map<bigint, Progress>;
}

function draftOf({ config, progress }: Pick<ChangeBase, "config" | "progress">): Draft {
  const draft = {
    incoming: new Set(config.voters.incoming),
    outgoing: new Set(config.voters.outgoing),
    learners: new Set(config.learners),
    learnersNext: new Set(config.learnersNext),
    progress: new Map(progress),
  };
  check(draft, config);
  return draft;
}

function finished(draft: Draft, { autoLeave }: { readonly autoLeave: boolean }): TrackerState {
  check(draft, { autoLeave });
  const { incoming, outgoing, learners, learnersNext, progress } = draft;
  return { config: { voters: { incoming, outgoing }, learners, learnersNext, autoLeave }, progress };
}

function isJoint({ outgoing }: Draft): boolean {
  return outgoing.size > 0;
}

function makeChanges(draft: Draft, changes: readonly SingleChange[], fresh: FreshProgress): void {
  for (const { kind, id } of changes) {
    // Who applies a change may blank it out instead of refusing it.
    if (id === 0n) continue;
    if (kind === "addVoter") makeVoter(draft, id, fresh);
    else if (kind === "addLearner") makeLearner(draft, id, fresh);
    else if (kind === "remove") remove(draft, id);
    else kind satisfies "update";
  }
  if (draft.incoming.size === 0) throw refusal("removed all voters");
}

function makeVoter(draft: Draft, id: bigint, fresh: FreshProgress): void {
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  draft.incoming.add(id);
  if (draft.progress.has(id)) setRole(draft, id, "voter");
  else draft.progress.set(id, newProgress("voter", fresh));
}

function makeLearner(draft: Draft, id: bigint, fresh: FreshProgress): void {
  const progress = draft.progress.get(id);
  if (progress === undefined) {
    draft.learners.add(id);
    draft.progress.set(id, newProgress("learner", fresh));
    return;
  }
  if (progress.isLearner) return;
  remove(draft, id);
  draft.progress.set(id, progress);
  // Nobody is voter and learner at once: who still votes in the outgoing half becomes a learner when that is left.
  if (draft.outgoing.has(id)) {
    draft.learnersNext.add(id);
    return;
  }
  draft.learners.add(id);
  setRole(draft, id, "learner");
}

function remove(draft: Draft, id: bigint): void {
  draft.incoming.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  // It still decides, and is still told, as long as it votes in the outgoing half.
  if (!draft.outgoing.has(id)) draft.progress.delete(id);
}

function setRole(draft: Draft, id: bigint, role: "voter" | "learner"): void {
  const progress = draft.progress.get(id);
  if (progress === undefined) throw refusal(`no progress for ${id}`);
  if (progress.isLearner !== (role === "learner")) draft.progress.set(id, progress.as(role));
}

function newProgress(role: "voter" | "learner", { lastIndex, inflights }: FreshProgress): Progress {
  return new Progress({
    next: Math.max(lastIndex, 1),
    inflights: new Inflights(inflights),
    isLearner: role === "learner",
    // Otherwise a leader could find itself without an active quorum before the new member had a chance to answer.
    recentActive: true,
  });
}

/** Configuration and records fit each other (etcd confchange checkInvariants). */
function check(draft: Draft, { autoLeave }: { readonly autoLeave: boolean }): void {
  const { incoming, outgoing, learners, learnersNext, progress } = draft;
  for (const ids of [incoming, outgoing, learners, learnersNext])
    for (const id of ids) if (!progress.has(id)) throw refusal(`no progress for ${id}`);
  for (const id of learnersNext) {
    if (!outgoing.has(id)) throw refusal(`${id} is in LearnersNext, but not Voters[1]`);
    if (progress.get(id)?.isLearner)
      throw refusal(`${id} is in LearnersNext, but is already marked as learner`);
  }
  for (const id of learners) {
    if (outgoing.has(id)) throw refusal(`${id} is in Learners and Voters[1]`);
    if (incoming.has(id)) throw refusal(`${id} is in Learners and Voters[0]`);
    if (!progress.get(id)?.isLearner) throw refusal(`${id} is in Learners, but is not marked as learner`);
  }
  if (isJoint(draft)) return;
  if (learnersNext.size > 0) throw refusal("cfg.LearnersNext must be nil when not joint");
  if (autoLeave) throw refusal("AutoLeave must be false when not joint");
}

function changesTo(kind: SingleChange["kind"], ids: readonly bigint[]): SingleChange[] {
  return ids.map((id) => ({ kind, id }));
}

function refusal(message: string): CodedError<ConfChangeErrorCode> {
  return new CodedError("ECONFCHANGE", message);
}
