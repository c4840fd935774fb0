import { type CallContext, type CallPlan, callUnary } from "./call.ts";
import { headerOf, memberOf } from "./decode-results.ts";
import { METHODS } from "./method.ts";
import type { CallOptions } from "./operations.ts";
import type { MemberAddResult, MemberListResult } from "./results.ts";

/** Changes of the cluster (rpc.proto Cluster, and MoveLeader). None is sent a second time when an answer got lost. */
export class ClusterCalls {
  readonly #context: CallContext;

  constructor(context: CallContext) {
    this.#context = context;
  }

  /** The new member is part of the cluster at once, and is to be started with state "existing". */
  async add(
    peerUrls: readonly string[],
    options: CallOptions & { readonly isLearner?: boolean },
  ): Promise<MemberAddResult> {
    const request = { peerURLs: [...peerUrls], isLearner: options.isLearner ?? false };
    const plan = once(`add member ${peerUrls.join(",")}`, options);
    const answer = await callUnary(this.#context, METHODS.memberAdd, request, plan);
    const member = answer.member ?? { ID: 0n, name: "", peerURLs: [], clientURLs: [], isLearner: false };
    return { ...listOf(answer), member: memberOf(member) };
  }

  async remove(id: bigint, options: CallOptions): Promise<MemberListResult> {
    const plan = once(`remove member ${id.toString(16)}`, options);
    return listOf(await callUnary(this.#context, METHODS.memberRemove, { ID: id }, plan));
  }

  async update(id: bigint, peerUrls: readonly string[], options: CallOptions): Promise<MemberListResult> {
    const plan = once(`update member ${id.toString(16)}`, options);
    const request = { ID: id, peerURLs: [...peerUrls] };
    return listOf(await callUnary(this.#context, METHODS.memberUpdate, request, plan));
  }

  /** A learner becomes a voter. */
  async promote(id: bigint, options: CallOptions): Promise<MemberListResult> {
    const plan = once(`promote member ${id.toString(16)}`, options);
    return listOf(await callUnary(this.#context, METHODS.memberPromote, { ID: id }, plan));
  }

  /** Only the leader can be asked. */
  async moveLeader(to: bigint, options: CallOptions): Promise<void> {
    const plan = once(`move the leader to ${to.toString(16)}`, options);
    await callUnary(this.#context, METHODS.moveLeader, { targetID: to }, plan);
  }
}

function once(what: string, { signal }: CallOptions): CallPlan {
  return { what, repeatable: false, signal };
}

function listOf(
  answer: Parameters<typeof headerOf>[0] & { readonly members: readonly Parameters<typeof memberOf>[0][] },
): MemberListResult {
  return { header: headerOf(answer), members: answer.members.map(memberOf) };
}
