import { toConfChange } from "../membership/member-codec.ts";
import { mayAddVoter, mayPromote, mayRemoveVoter, votersOf } from "../membership/quorum-rules.ts";
import { findMember, type Member, type MemberChange } from "../membership/types.ts";
import { StoreError } from "../proto/errors.ts";
import { majority } from "../raft/quorum.ts";
import type { Replica } from "../replica/replica.ts";

/** How much of the leader's log a learner has to hold before it may vote (etcd server.go readyPercentThreshold). */
const LEARNER_READY_PART = 0.9;

/** Whether this member has a connection to another. */
export type IsConnected = (id: bigint) => boolean;

export interface MemberChangesOptions {
  readonly replica: Replica;
  /** etcd `--strict-reconfig-check`: refuse what would lose the quorum. */
  readonly isStrict: boolean;
  /** etcd `--max-learners`. */
  readonly learnersMax: number;
  readonly isConnected: IsConnected;
}

/**
 * Proposes changes of the members, after the checks of etcd's server (etcdserver/server.go mayAddMember, mayRemoveMember,
 * mayPromoteMember). What they give is the marshalled response of the call without its header. They reject with
 * StoreError: what the check or the applied state refuses with, and what {@link Replica.proposeConfChange} does.
 */
export class MemberChanges {
  readonly #options: MemberChangesOptions;

  constructor(options: MemberChangesOptions) {
    this.#options = options;
  }

  async add(member: Member, options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    const { isStrict, learnersMax } = this.#options;
    if (isStrict) this.#checkAdd(member);
    return this.#propose({ kind: "add", member, learnersMax }, options);
  }

  async remove(id: bigint, options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    if (this.#options.isStrict) this.#checkRemove(id);
    return this.#propose({ kind: "remove", id }, options);
  }

  update(
    id: bigint,
    peerUrls: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array> {
    return this.#propose({ kind: "update", id, peerUrls }, options);
  }

  /** NotLeader: only the leader knows how far a learner is. */
  async promote(id: bigint, options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    const { replica, isStrict } = this.#options;
    // What is known here of the members may be older than the call.
    if (replica.status.role === "leader") await replica.readIndex(options);
    this.#checkLearner(id);
    if (isStrict && !mayPromote(replica.state.members)) throw new StoreError("MemberNotEnoughStarted");
    return this.#propose({ kind: "promote", id }, options);
  }

  async #propose(change: MemberChange, options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    const { replica } = this.#options;
    const requestId = replica.nextRequestId();
    const outcome = await replica.proposeConfChange(requestId, toConfChange(change, requestId), options);
    if (outcome.kind === "refused") throw outcome.error;
    return outcome.response;
  }

  #checkAdd({ isLearner }: Member): void {
    const { members } = this.#options.replica.state;
    if (!isLearner && !mayAddVoter(members)) throw new StoreError("MemberNotEnoughStarted");
    const voters = votersOf(members);
    // The new member counts as one that is not there; a sole member may always grow.
    if (voters.length !== 1 && this.#connected(voters) < majority(voters.length + 1)) {
      throw new StoreError("Unhealthy");
    }
  }

  #checkRemove(id: bigint): void {
    const { replica, isConnected } = this.#options;
    const { members } = replica.state;
    if (findMember(members, id)?.isLearner) return;
    if (!mayRemoveVoter(members, id)) throw new StoreError("MemberNotEnoughStarted");
    // One that is away is not part of the quorum that there is.
    if (id !== replica.memberId && !isConnected(id)) return;
    const voters = votersOf(members);
    if (this.#connected(voters) - 1 < majority(voters.length - 1)) throw new StoreError("Unhealthy");
  }

  #checkLearner(id: bigint): void {
    const { replica } = this.#options;
    const progress = replica.progress();
    const leader = progress.get(replica.memberId);
    if (replica.status.role !== "leader" || leader === undefined) throw new StoreError("NotLeader");
    const learner = progress.get(id);
    if (learner === undefined) throw new StoreError("MemberNotFound");
    if (learner.match < leader.match * LEARNER_READY_PART) throw new StoreError("LearnerNotReady");
  }

  /** This member among them. */
  #connected(members: readonly Member[]): number {
    const { replica, isConnected } = this.#options;
    return members.filter(({ id }) => id === replica.memberId || isConnected(id)).length;
  }
}
