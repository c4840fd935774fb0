import { CodedError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import type { Random } from "../../base/random.ts";
import { RaftLog } from "./log.ts";
import { quorumIndex, voteResult } from "./quorum.ts";
import { ReadIndexQueue } from "./read-index.ts";
import type {
  EntryId,
  EntryKind,
  HardState,
  ProposeOutcome,
  RaftCore,
  RaftLimits,
  RaftStart,
  RaftStatus,
  ReadState,
  Ready,
  Role,
  SoftState,
} from "./types.ts";

const NO_DATA = new Uint8Array(0);
const NONE = 0n;

/** A write that `ready()` gave and nobody has reported as done. */
interface OutstandingWrite {
  readonly write: EntryId;
  readonly hardState: HardState | undefined;
  /** This member's term when it was given. */
  readonly term: number;
}

/**
 * The consensus core of one member (Raft, figure 2, in the shape of etcd-io/raft): deterministic, no clock, no disk.
 *
 * The present limit: this build serves a cluster of one voter, and the constructor refuses more. Everything that a
 * single voter needs is the general rule, written over the set of voters: a vote counts, an entry is committed and a
 * read is confirmed when a quorum says so, and a member's own word counts only once it is on its own disk.
 */
export class Raft implements RaftCore {
  readonly #id: bigint;
  readonly #voters: readonly bigint[];
  readonly #limits: RaftLimits;
  readonly #random: Random;
  readonly #log: RaftLog;
  readonly #reads: ReadIndexQueue;

  #role: Role = "follower";
  #leader = NONE;
  #term: number;
  #vote: bigint;

  /** What the disk has of the hard state, and what has been handed to it. */
  #handedOut: HardState;
  readonly #outstanding: OutstandingWrite[] = [];

  readonly #votes = new Map<bigint, boolean>();
  /** Last entry that each voter is known to hold on disk; kept by the leader. */
  readonly #match = new Map<bigint, number>();

  #electionElapsed = 0;
  #electionTimeout = 0;
  #uncommittedBytes = 0;
  #readStates: ReadState[] = [];
  #reportedSoftState: SoftState;

  /** Throws CodedError "EVOTERS" when there is more than one voter, or the only one is another member. */
  constructor(start: RaftStart, options: { readonly limits: RaftLimits; readonly random: Random }) {
    requireSoleVoter(start);
    this.#id = start.id;
    this.#voters = start.voters;
    this.#limits = options.limits;
    this.#random = options.random;
    this.#log = new RaftLog({
      entries: start.entries,
      compacted: start.compacted,
      commit: start.hardState.commit,
      applied: start.applied,
    });
    this.#reads = new ReadIndexQueue({ self: start.id, limit: options.limits.pendingReads });
    this.#term = start.hardState.term;
    this.#vote = start.hardState.vote;
    this.#handedOut = start.hardState;
    this.#reportedSoftState = this.#softState();
    invariant(
      this.#log.last.term <= this.#term,
      `last entry's term ${this.#log.last.term} ≤ own ${this.#term}`,
    );
    this.#resetElectionTimer();
  }

  tick(): void {
    if (this.#role === "leader") return;
    this.#electionElapsed += 1;
    // Nobody else can lead: waiting for a leader to be heard would only delay the start.
    const alone = this.#voters.length === 1 && this.#role === "follower";
    if (alone || this.#electionElapsed >= this.#electionTimeout) this.#campaign();
  }

  propose(data: Uint8Array): ProposeOutcome {
    if (this.#role !== "leader") return "notLeader";
    const tooMany = this.#uncommittedBytes + data.byteLength > this.#limits.uncommittedBytes;
    if (tooMany && this.#uncommittedBytes > 0) return "tooManyUncommitted";
    this.#appendOwn("normal", data);
    return "accepted";
  }

  readIndex(context: number): boolean {
    if (this.#role !== "leader" || !this.#reads.add(context)) return false;
    this.#answerReads();
    return true;
  }

  ready(): Ready | undefined {
    const soft = this.#softState();
    const softChanged = !sameSoftState(soft, this.#reportedSoftState);
    const mustWrite = this.#log.hasUnwritten || this.#termOrVoteChanged();
    if (!mustWrite && !softChanged && this.#readStates.length === 0 && !this.#log.hasCommitted) {
      return undefined;
    }
    const written = mustWrite ? this.#takeWrite() : undefined;
    const readStates = this.#readStates;
    this.#readStates = [];
    this.#reportedSoftState = soft;
    return {
      write: written?.write,
      hardState: written?.hardState,
      entries: written?.entries ?? [],
      committed: this.#log.takeCommitted({
        entries: this.#limits.committedEntries,
        bytes: this.#limits.committedBytes,
      }),
      readStates,
      softState: softChanged ? soft : undefined,
    };
  }

  persisted(write: EntryId): void {
    const done = this.#outstanding.shift();
    invariant(
      done !== undefined && done.write.index === write.index && done.write.term === write.term,
      `write up to ${write.term}/${write.index} is the oldest outstanding one`,
    );
    if (done.hardState !== undefined) this.#ownVoteIsPersisted(done.hardState);
    // Behind a write of an earlier term there may be one that replaces its entries, and one that brings them back: they
    // are on disk now, and for a moment will not be. The write of this term's hard state speaks for the whole log.
    if (done.term === this.#term && this.#log.stableTo(write)) this.#ownEntriesArePersisted();
  }

  applied(index: number): void {
    this.#log.appliedTo(index);
  }

  compact(index: number): void {
    this.#log.compactTo(index);
  }

  get status(): RaftStatus {
    return {
      ...this.#softState(),
      id: this.#id,
      commit: this.#log.committed,
      applied: this.#log.applied,
      lastIndex: this.#log.lastIndex,
    };
  }

  /** Raft §5.2. The vote for itself counts when it is on disk: a member that forgot it in a crash could vote twice. */
  #campaign(): void {
    this.#term += 1;
    this.#vote = this.#id;
    this.#role = "candidate";
    this.#leader = NONE;
    this.#votes.clear();
    this.#resetElectionTimer();
  }

  #ownVoteIsPersisted(hardState: HardState): void {
    if (this.#role !== "candidate" || hardState.term !== this.#term || hardState.vote !== this.#id) return;
    this.#votes.set(this.#id, true);
    if (voteResult(this.#voters, (voter) => this.#votes.get(voter)) === "won") this.#becomeLeader();
  }

  #becomeLeader(): void {
    this.#role = "leader";
    this.#leader = this.#id;
    this.#match.clear();
    this.#match.set(this.#id, this.#log.stable);
    this.#reads.clear();
    this.#uncommittedBytes = 0;
    // Raft §5.4.2: entries of earlier terms are committed only by way of one of this term.
    this.#appendOwn("normal", NO_DATA);
  }

  #appendOwn(kind: EntryKind, data: Uint8Array): void {
    this.#uncommittedBytes += data.byteLength;
    this.#log.append([{ term: this.#term, index: this.#log.lastIndex + 1, kind, data }]);
  }

  #ownEntriesArePersisted(): void {
    if (this.#role !== "leader") return;
    this.#match.set(this.#id, this.#log.stable);
    const index = quorumIndex(this.#voters, (voter) => this.#match.get(voter));
    const before = this.#log.committed;
    // Raft §5.4.2: replicas are counted only for entries of the leader's own term.
    if (index <= before || this.#log.term(index) !== this.#term) return;
    this.#log.commitTo(index);
    // Bytes of an earlier term's entries were never counted as proposals of this one.
    this.#uncommittedBytes = Math.max(0, this.#uncommittedBytes - this.#log.dataBytes(before, index));
    this.#answerReads();
  }

  #answerReads(): void {
    const commit = this.#log.committed;
    const known = this.#log.term(commit) === this.#term ? commit : undefined;
    this.#readStates.push(...this.#reads.take(this.#voters, known));
  }

  #termOrVoteChanged(): boolean {
    return this.#term !== this.#handedOut.term || this.#vote !== this.#handedOut.vote;
  }

  /** A commit that moved alone is not worth a write (it is volatile in figure 2); it rides with the next one. */
  #takeWrite(): OutstandingWrite & { readonly entries: Ready["entries"] } {
    const entries = this.#log.takeUnwritten({
      entries: Number.MAX_SAFE_INTEGER,
      bytes: this.#limits.writeBytes,
    });
    const write = this.#log.lastWritten;
    // Never ahead of the entries on disk: a leader's commit may be, when the others are faster, and a follower's too.
    const commit = Math.min(this.#log.committed, write.index);
    const now = { term: this.#term, vote: this.#vote, commit };
    const changed = this.#termOrVoteChanged() || now.commit !== this.#handedOut.commit;
    const hardState = changed ? now : undefined;
    this.#handedOut = now;
    const taken = { write, hardState, term: this.#term };
    this.#outstanding.push(taken);
    return { ...taken, entries };
  }

  #softState(): SoftState {
    return { role: this.#role, leader: this.#leader, term: this.#term };
  }

  /** Raft §5.2: randomised, so that split votes are rare. */
  #resetElectionTimer(): void {
    const { electionTicks } = this.#limits;
    this.#electionElapsed = 0;
    this.#electionTimeout = electionTicks + Math.floor(this.#random.next() * electionTicks);
  }
}

function requireSoleVoter(start: RaftStart): void {
  if (start.voters.length === 1 && start.voters[0] === start.id) return;
  const voters = start.voters.map((voter) => voter.toString(16)).join(", ");
  throw new CodedError(
    "EVOTERS",
    `Cannot start member ${start.id.toString(16)} with voters [${voters}]: this build serves one voter, the member itself`,
  );
}

function sameSoftState(a: SoftState, b: SoftState): boolean {
  return a.role === b.role && a.leader === b.leader && a.term === b.term;
}
