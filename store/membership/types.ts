/** One member of the cluster (etcd rpc.proto Member). */
export interface Member {
  readonly id: bigint;
  /** Empty until it has started once. */
  readonly name: string;
  /** Where other members reach it. */
  readonly peerUrls: readonly string[];
  /** Where clients reach it; empty until it has started once. */
  readonly clientUrls: readonly string[];
  /** It receives the log and has no vote. */
  readonly isLearner: boolean;
}

/** What a member tells of itself once it has started (etcd membershippb Attributes). */
export type MemberAttributes = Pick<Member, "name" | "clientUrls">;

/** A change of the list of members, as the log carries it. */
export type MemberChange =
  /** As a learner when `member.isLearner` says so. */
  | { readonly kind: "add"; readonly member: Member; readonly learnersMax: number }
  | { readonly kind: "promote"; readonly id: bigint }
  | { readonly kind: "remove"; readonly id: bigint }
  | { readonly kind: "update"; readonly id: bigint; readonly peerUrls: readonly string[] };

/** A new member, as yet without what it tells of itself. */
export function unstarted(id: bigint, peerUrls: readonly string[], isLearner = false): Member {
  return { id, name: "", peerUrls, clientUrls: [], isLearner };
}

/** Ascending by id, which is the order of every list of members. */
export function byId(members: Iterable<Member>): Member[] {
  return [...members].sort((one, other) => (one.id < other.id ? -1 : 1));
}

export function findMember(members: readonly Member[], id: bigint): Member | undefined {
  return members.find((member) => member.id === id);
}
