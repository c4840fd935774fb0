import type { ProgressView } from "../../../../store/raft/progress.ts";
import type {
  ConfState,
  HardState,
  ReadState,
  Role,
  SnapshotMeta,
  SoftState,
} from "../../../../store/raft/types.ts";
import { describeConfChange } from "./conf-change-text.ts";
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ReferenceEntry,
  type ReferenceMessage,
} from "./reference-message.ts";

/** What one Ready of the reference holds. */
export interface ReferenceReady {
  readonly softState: Pick<SoftState, "role" | "leader"> | undefined;
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  readonly entries: readonly ReferenceEntry[];
  readonly snapshot: SnapshotMeta | undefined;
  readonly committed: readonly ReferenceEntry[];
  readonly messages: readonly ReferenceMessage[];
  readonly mustSync: boolean;
}

/** Of a member that has nothing to do. */
export const NO_WORK: ReferenceReady = {
  softState: undefined,
  hardState: undefined,
  readStates: [],
  entries: [],
  snapshot: undefined,
  committed: [],
  messages: [],
  mustSync: false,
};

const ROLES: Readonly<Record<Role, string>> = {
  follower: "StateFollower",
  preCandidate: "StatePreCandidate",
  candidate: "StateCandidate",
  leader: "StateLeader",
};

const PROGRESS_STATES: Readonly<Record<ProgressView["state"], string>> = {
  probe: "StateProbe",
  replicate: "StateReplicate",
  snapshot: "StateSnapshot",
};

/** All that follows prints as the reference's util.go and tracker/progress.go do. */
export function describeReady(ready: ReferenceReady): string {
  const { softState, hardState, readStates, entries, snapshot, committed, messages } = ready;
  const lines: string[] = [];
  if (softState) lines.push(`Lead:${softState.leader} State:${describeRole(softState.role)}`);
  if (hardState) lines.push(`HardState ${describeHardState(hardState)}`);
  if (readStates.length > 0)
    lines.push(`ReadStates [${readStates.map((state) => `{${state.index} ${state.context}}`).join(" ")}]`);
  if (entries.length > 0) lines.push("Entries:", ...entries.map(describeEntry));
  if (snapshot) lines.push(`Snapshot ${describeSnapshot(snapshot)}`);
  if (committed.length > 0) lines.push("CommittedEntries:", ...committed.map(describeEntry));
  if (messages.length > 0) lines.push("Messages:", ...messages.map((message) => describeMessage(message)));
  if (lines.length === 0) return "<empty Ready>";
  return [`Ready MustSync=${ready.mustSync}:`, ...lines, ""].join("\n");
}

export function describeMessage(message: ReferenceMessage, indent = ""): string {
  const { entries, snapshot, responses } = message;
  const parts = [
    `${indent}${describeTarget(message.from)}->${describeTarget(message.to)} ${message.type}`,
    `Term:${message.term} Log:${message.logTerm}/${message.index}`,
  ];
  if (message.reject) parts.push(`Rejected (Hint: ${message.rejectHint})`);
  if (message.commit !== 0) parts.push(`Commit:${message.commit}`);
  if (message.vote !== 0n) parts.push(`Vote:${message.vote}`);
  const [first, ...others] = entries.map(describeEntry);
  if (first !== undefined && others.length === 0) parts.push(`Entries:[${first}]`);
  if (first !== undefined && others.length > 0) {
    const lines = [first, ...others].map((entry) => `\n${indent}  ${entry}`);
    parts.push(`Entries:[${lines.join("")}\n${indent}]`);
  }
  let text = parts.join(" ");
  if (snapshot) text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`);
    text += ` Responses:[${lines.join("")}\n${indent}]`;
  }
  return text;
}

/** Data is printed as text in quotes, a change of the configuration by its words. */
export function describeEntry({ term, index, kind, data }: ReferenceEntry): string {
  const place = `${term}/${index}`;
  if (kind === "normal") return `${place} EntryNormal ${JSON.stringify(Buffer.from(data).toString("utf8"))}`;
  const { version, text } = describeConfChange(data);
  const type = version === "v1" ? "EntryConfChange" : "EntryConfChangeV2";
  return text === "" ? `${place} ${type}` : `${place} ${type} ${text}`;
}

export function describeRole(role: Role): string {
  return ROLES[role];
}

/** One line a member; empty without members. */
export function describeProgress(progress: ReadonlyMap<bigint, ProgressView>): string {
  return [...progress].map(([id, view]) => `${id}: ${describeProgressOf(view)}\n`).join("");
}

function describeProgressOf(view: ProgressView): string {
  const { count, isFull } = view.inflights;
  const parts = [PROGRESS_STATES[view.state], `match=${view.match}`, `next=${view.next}`];
  if (view.isLearner) parts.push("learner");
  if (view.isPaused) parts.push("paused");
  if (view.pendingSnapshot > 0) parts.push(`pendingSnap=${view.pendingSnapshot}`);
  if (!view.recentActive) parts.push("inactive");
  if (count > 0) parts.push(`inflight=${count}${isFull ? "[full]" : ""}`);
  return parts.join(" ");
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0n ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

function describeSnapshot({ index, term, confState }: SnapshotMeta): string {
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`;
}

function describeConfState(state: ConfState): string {
  const list = (ids: readonly bigint[]) => `[${ids.join(" ")}]`;
  return [
    `Voters:${list(state.voters)}`,
    `VotersOutgoing:${list(state.votersOutgoing)}`,
    `Learners:${list(state.learners)}`,
    `LearnersNext:${list(state.learnersNext)}`,
    `AutoLeave:${state.autoLeave}`,
  ].join(" ");
}

function describeTarget(id: bigint): string {
  if (id === 0n) return "None";
  if (id === APPEND_THREAD) return "AppendThread";
  if (id === APPLY_THREAD) return "ApplyThread";
  return id.toString(16);
}
