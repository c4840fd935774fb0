import type { FreshProgress } from "./conf-changer.ts";
import { Inflights } from "./inflights.ts";
import { RaftLog } from "./log.ts";
import type { Message } from "./message.ts";
import { Progress } from "./progress.ts";
import { ReadIndexQueue } from "./read-index.ts";
import { ProgressTracker } from "./tracker.ts";
import {
  NONE,
  type RaftOptions,
  type RaftStart,
  type ReadState,
  type Role,
  type SoftState,
} from "./types.ts";

type WithoutSender<Kind extends Message> = Kind extends Message ? Omit<Kind, "from" | "term"> : never;

/** A message before its sender and term are put to it. */
export type Draft = WithoutSender<Message>;

/**
 * What one member holds while it runs: the state of Raft's figure 2, and the messages that have not left. The rules are
 * functions over it, a file for each idea: election, replication, follower, leader, reads, reconfiguration.
 */
export class RaftNode {
  readonly id: bigint;
  readonly options: RaftOptions;
  readonly log: RaftLog;
  readonly reads: ReadIndexQueue;
  tracker: ProgressTracker;

  role: Role = "follower";
  leader = NONE;
  term: number;
  vote: bigint;

  /** Ticks since the leader was heard, or since this leader last made sure of its quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Ticks after which this follower campaigns; drawn anew for each term. */
  electionTimeout = 0;

  /** To whom this leader hands over. */
  transferee = NONE;
  /** No change of the configuration is proposed before everything up to here has been applied. */
  pendingConfIndex = 0;
  /** Bytes of this leader's own proposals that are not committed. */
  uncommittedBytes = 0;
  /** Followers' proposals that this leader has appended, the oldest first: a message that comes again is none. */
  readonly seenProposals = new Set<bigint>();

  readStates: ReadState[] = [];
  /** May leave at once. */
  messages: Message[] = [];
  /** Promise what is to be on disk first. */
  responses: Message[] = [];

  constructor(start: RaftStart, options: RaftOptions) {
    const { limits } = options;
    this.id = start.id;
    this.options = options;
    this.term = start.hardState.term;
    this.vote = start.hardState.vote;
    this.log = new RaftLog({ ...start, commit: start.hardState.commit, applyingBytes: limits.applyingBytes });
    this.reads = new ReadIndexQueue(limits.pendingReads);
    this.tracker = new ProgressTracker();
    this.resetElectionTimer();
  }

  get softState(): SoftState {
    return { role: this.role, leader: this.leader, term: this.term };
  }

  get isLearner(): boolean {
    return this.tracker.progress.get(this.id)?.isLearner ?? false;
  }

  /** May lead: a voter, whose state is whole. */
  get isPromotable(): boolean {
    const own = this.tracker.progress.get(this.id);
    return own !== undefined && !own.isLearner && !this.log.hasSnapshot;
  }

  /** This leader's commit, once an entry of its own term is in it: only then does it cover what others committed. */
  get knownCommit(): number | undefined {
    const { committed } = this.log;
    return this.log.term(committed) === this.term ? committed : undefined;
  }

  /** Leaves with the next round. `term` is given for the votes alone, which may speak of another than the present one. */
  send(draft: Draft, term = this.term): void {
    this.messages.push({ ...draft, from: this.id, term } as Message);
  }

  /** Leaves when everything that this member has taken in so far is on its disk. */
  respond(draft: Draft, term = this.term): void {
    this.responses.push({ ...draft, from: this.id, term } as Message);
  }

  becomeFollower(term: number, leader: bigint): void {
    this.reset(term);
    this.role = "follower";
    this.leader = leader;
  }

  /** A new term, or a new role in it. */
  reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = NONE;
    }
    this.leader = NONE;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.resetElectionTimer();
    this.transferee = NONE;
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.seenProposals.clear();
    this.reads.clear();
    this.tracker.resetVotes();
    this.#resetProgress();
  }

  /** From where a member is followed that nothing is known of. */
  get freshProgress(): FreshProgress {
    const { inflightMessages: messages, inflightBytes: bytes } = this.options.limits;
    return { lastIndex: this.log.lastIndex, inflights: { messages, bytes } };
  }

  #resetProgress(): void {
    const { lastIndex, inflights } = this.freshProgress;
    for (const [id, { isLearner }] of this.tracker.progress) {
      const match = id === this.id ? lastIndex : 0;
      const start = { match, next: lastIndex + 1, isLearner, recentActive: false };
      this.tracker.progress.set(id, new Progress({ ...start, inflights: new Inflights(inflights) }));
    }
  }

  /** Raft §5.2: randomised, so that split votes are rare. */
  resetElectionTimer(): void {
    const { electionTicks } = this.options.limits;
    this.electionTimeout = electionTicks + Math.floor(this.options.random.next() * electionTicks);
  }
}
