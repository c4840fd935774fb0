import { invariant } from "../../base/invariant.ts";
import { type ConfChange, encodeConfChange } from "./conf-change.ts";
import { campaign, tickElection } from "./election.ts";
import { restoreConfState } from "./follower.ts";
import { handleSnapshotReport, handleTransferLeader, handleUnreachable, tickHeartbeat } from "./leader.ts";
import type { Message } from "./message.ts";
import type { ProgressView } from "./progress.ts";
import { propose } from "./proposals.ts";
import { RaftNode } from "./raft-node.ts";
import { askAsLeader } from "./reads.ts";
import { applyConfChange, leaveJointIfDue } from "./reconfiguration.ts";
import { step } from "./step.ts";
import {
  type ConfState,
  type HardState,
  type KeptEntries,
  NONE,
  type ProposeOutcome,
  type RaftCore,
  type RaftOptions,
  type RaftStart,
  type RaftStatus,
  type Ready,
  type SoftState,
  type Write,
} from "./types.ts";

/**
 * The consensus core of one member (Raft, figure 2, in the shape of etcd-io/raft): deterministic, no clock, no disk, no
 * network. This file is its face: what comes in goes to the rule for it, what goes out is gathered into rounds. A member's own
 * word, a vote or an acknowledgement, counts only once it is on its own disk.
 */
export class Raft implements RaftCore {
  readonly #node: RaftNode;
  /** What has been handed to the disk. */
  #handedOut: HardState;
  readonly #outstanding: Write[] = [];
  #reportedSoftState: SoftState;

  constructor(start: RaftStart, options: RaftOptions) {
    const node = new RaftNode(start, options);
    this.#node = node;
    restoreConfState(node, start.confState);
    this.#handedOut = start.hardState;
    this.#reportedSoftState = node.softState;
    // Not of a snapshot's term: what starts from a state without a log has heard of no term yet.
    const last = start.entries.at(-1)?.term ?? 0;
    invariant(last <= node.term, `last entry's term ${last} ≤ own ${node.term}`);
  }

  tick(): void {
    if (this.#node.role === "leader") {
      tickHeartbeat(this.#node);
      // A leader that was handing over could not, and nothing may be applied any more that would remind it.
      leaveJointIfDue(this.#node);
    } else {
      tickElection(this.#node);
    }
  }

  step(message: Message): void {
    step(this.#node, message);
  }

  campaign(): void {
    campaign(this.#node);
  }

  propose(data: Uint8Array): ProposeOutcome {
    return propose(this.#node, { kind: "normal", data });
  }

  proposeConfChange(change: ConfChange): ProposeOutcome {
    return propose(this.#node, { kind: "confChange", data: encodeConfChange(change) });
  }

  applyConfChange(change: ConfChange): ConfState {
    return applyConfChange(this.#node, change);
  }

  readIndex(context: bigint): "accepted" | "noLeader" | "tooMany" {
    const node = this.#node;
    if (node.role === "leader") return askAsLeader(node, { from: node.id, context }) ? "accepted" : "tooMany";
    if (node.leader === NONE) return "noLeader";
    node.send({ kind: "readIndex", to: node.leader, context });
    return "accepted";
  }

  transferLeader(transferee: bigint): void {
    const node = this.#node;
    if (node.role === "leader") handleTransferLeader(node, transferee);
    else if (node.leader !== NONE) node.send({ kind: "transferLeader", to: node.leader, transferee });
  }

  reportUnreachable(id: bigint): void {
    if (this.#node.role === "leader") handleUnreachable(this.#node, id);
  }

  reportSnapshot(id: bigint, outcome: "delivered" | "failed"): void {
    if (this.#node.role === "leader") handleSnapshotReport(this.#node, id, outcome);
  }

  ready(): Ready | undefined {
    const node = this.#node;
    const soft = node.softState;
    const softState = isSameSoftState(soft, this.#reportedSoftState) ? undefined : soft;
    const write = this.#takeWrite();
    const { messages, readStates } = node;
    const committed = node.log.takeCommitted();
    const isEmpty = messages.length + readStates.length + committed.length === 0;
    if (isEmpty && write === undefined && softState === undefined) return undefined;
    node.messages = [];
    node.readStates = [];
    this.#reportedSoftState = soft;
    return { write, messages, committed, readStates, softState };
  }

  persisted(write: Write): void {
    const { log, term } = this.#node;
    invariant(this.#outstanding.shift() === write, "the oldest outstanding write is reported first");
    // Behind a write of an earlier term there may be one that replaces its entries, and one that brings them back: they
    // are on disk now, and for a moment will not be. The write of this term's hard state speaks for the whole log.
    if (write.term === term && write.upTo !== undefined) log.stableTo(write.upTo);
    if (write.snapshot !== undefined) {
      log.snapshotInstalled(write.snapshot.index);
      leaveJointIfDue(this.#node);
    }
  }

  applied(index: number): void {
    this.#node.log.appliedTo(index);
    leaveJointIfDue(this.#node);
  }

  compact(index: number, keep: KeptEntries): number {
    return this.#node.log.compactTo(index, keep);
  }

  get status(): RaftStatus {
    const { id, vote, log, isLearner, transferee, softState } = this.#node;
    const { committed: commit, applied, lastIndex } = log;
    return { ...softState, id, vote, commit, applied, lastIndex, isLearner, transferee };
  }

  get confState(): ConfState {
    return this.#node.tracker.confState();
  }

  progress(): ReadonlyMap<bigint, ProgressView> {
    const { role, tracker } = this.#node;
    if (role !== "leader") return new Map();
    return new Map(tracker.ids().map((id) => [id, tracker.progress.get(id) as ProgressView]));
  }

  #takeWrite(): Write | undefined {
    const node = this.#node;
    const { log, term, vote } = node;
    const entries = log.takeUnwritten();
    const snapshot = log.takeSnapshot();
    const hardState = { term, vote, commit: log.committed };
    const isTermOrVoteNew = term !== this.#handedOut.term || vote !== this.#handedOut.vote;
    const isNew = isTermOrVoteNew || hardState.commit !== this.#handedOut.commit;
    const mustSync = isTermOrVoteNew || entries.length > 0 || snapshot !== undefined;
    if (!mustSync && !isNew && node.responses.length === 0) return undefined;
    const write: Write = {
      hardState: isNew ? hardState : undefined,
      entries,
      snapshot,
      mustSync,
      responses: node.responses,
      upTo: log.isStable ? undefined : log.last,
      term,
    };
    node.responses = [];
    this.#handedOut = hardState;
    this.#outstanding.push(write);
    return write;
  }
}

function isSameSoftState(a: SoftState, b: SoftState): boolean {
  return a.role === b.role && a.leader === b.leader && a.term === b.term;
}
