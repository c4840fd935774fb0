import type { Progress } from "./progress.ts";
import { committedIndex, type JointVoters, type VoteResult, voteResult } from "./quorum.ts";
import type { ConfState } from "./types.ts";

/** Who votes and who listens, for a leader to count with (etcd tracker.Config); {@link ConfState} is its form at rest. */
export interface TrackerConfig {
  readonly voters: JointVoters;
  /** Not one of them votes, in neither half. */
  readonly learners: ReadonlySet<bigint>;
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: ReadonlySet<bigint>;
  /** The leader leaves the joint configuration by itself. False when it is not joint. */
  readonly autoLeave: boolean;
}

/** What a tracker holds of a configuration: itself, and the records of exactly its members. */
export interface TrackerState {
  readonly config: TrackerConfig;
  readonly progress: Map<bigint, Progress>;
}

export interface VoteTally {
  /** Of the present voters; an answer of somebody else is not counted. */
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

/** What a member knows of the others: the configuration, how far each is, and how they voted (etcd tracker.ProgressTracker). */
export class ProgressTracker {
  config: TrackerConfig;
  /** Of every member of the configuration, this one included. */
  progress: Map<bigint, Progress>;
  #votes = new Map<bigint, boolean>();

  /** Starts empty unless a configuration is given. */
  constructor({ config, progress }: TrackerState = emptyTrackerState()) {
    this.config = config;
    this.progress = progress;
  }

  /** The answers since {@link resetVotes}. */
  get votes(): ReadonlyMap<bigint, boolean> {
    return this.#votes;
  }

  /** One member decides alone. */
  get isSingleton(): boolean {
    const { incoming, outgoing } = this.config.voters;
    return incoming.size === 1 && outgoing.size === 0;
  }

  /** Every member, in ascending order. */
  ids(): bigint[] {
    return ascending(this.progress.keys());
  }

  /** Who votes, in either half, in ascending order. */
  voterIds(): bigint[] {
    const { incoming, outgoing } = this.config.voters;
    return ascending(incoming.union(outgoing));
  }

  /** The highest index that a quorum holds. */
  committed(): number {
    return committedIndex(this.config.voters, (id) => this.progress.get(id)?.match);
  }

  /** A quorum was heard of recently. */
  quorumActive(): boolean {
    const activeOf = (id: bigint) => {
      const progress = this.progress.get(id);
      return progress === undefined || progress.isLearner ? undefined : progress.recentActive;
    };
    return voteResult(this.config.voters, activeOf) === "won";
  }

  /** As the configuration is written into snapshots and kept with applied state. */
  confState(): ConfState {
    const { voters, learners, learnersNext, autoLeave } = this.config;
    return {
      voters: ascending(voters.incoming),
      votersOutgoing: ascending(voters.outgoing),
      learners: ascending(learners),
      learnersNext: ascending(learnersNext),
      autoLeave,
    };
  }

  resetVotes(): void {
    this.#votes = new Map();
  }

  /** Only the first answer of a member counts. */
  recordVote(id: bigint, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  tally(): VoteTally {
    let granted = 0;
    let rejected = 0;
    for (const [id, progress] of this.progress) {
      const vote = this.#votes.get(id);
      if (progress.isLearner || vote === undefined) continue;
      if (vote) granted += 1;
      else rejected += 1;
    }
    return { granted, rejected, result: voteResult(this.config.voters, (id) => this.#votes.get(id)) };
  }
}

/** Of a configuration with nobody in it. */
export function emptyTrackerState(): TrackerState {
  return {
    config: {
      voters: { incoming: new Set(), outgoing: new Set() },
      learners: new Set(),
      learnersNext: new Set(),
      autoLeave: false,
    },
    progress: new Map(),
  };
}

function ascending(ids: Iterable<bigint>): bigint[] {
  return [...ids].sort((a, b) => (a < b ? -1 : 1));
}
