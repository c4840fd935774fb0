import { CodedError } from "../../base/errors.ts";
import { decodeConfChange, encodeConfChange } from "../raft/conf-change.ts";
import { idText } from "../raft/id-text.ts";
import type { Entry } from "../raft/types.ts";
import { fromConfChange, toConfChange } from "./member-codec.ts";
import type { Member, MemberChange } from "./types.ts";

/** Which members there are, and whether each is a learner. */
type Roll = Map<bigint, { readonly isLearner: boolean }>;

/**
 * The data of a log's next entries, changes of the configuration, that leave `memberId` alone in the cluster, with a vote
 * (etcd `--force-new-cluster`, server/etcdserver/bootstrap.go); none when it is so already. `members` are those of the applied
 * state, `unapplied` the entries behind it. Throws CodedError EBOOTSTRAP when it is not a member itself.
 */
export function changesToAlone(
  memberId: bigint,
  { members, unapplied }: { readonly members: readonly Member[]; readonly unapplied: readonly Entry[] },
): Uint8Array[] {
  const roll: Roll = new Map(members.map(({ id, isLearner }) => [id, { isLearner }]));
  for (const entry of unapplied) note(roll, entry);
  const own = roll.get(memberId);
  if (own === undefined) {
    throw new CodedError(
      "EBOOTSTRAP",
      `Cannot force a new cluster: member ${idText(memberId)} is not in the one that the data folder is of, ` +
        `expected one of ${[...roll.keys()].map(idText).join(", ")}`,
    );
  }
  const changes: MemberChange[] = own.isLearner ? [{ kind: "promote", id: memberId }] : [];
  for (const id of roll.keys()) if (id !== memberId) changes.push({ kind: "remove", id });
  return changes.map((change) => encodeConfChange(toConfChange(change, 0n)));
}

/** One that was refused when it was applied changes the roll no more than it changed the members. */
function note(roll: Roll, { kind, data }: Entry): void {
  if (kind !== "confChange") return;
  const change = fromConfChange(decodeConfChange(data))?.change;
  switch (change?.kind) {
    case "add":
      if (!roll.has(change.member.id)) roll.set(change.member.id, { isLearner: change.member.isLearner });
      break;
    case "promote":
      if (roll.has(change.id)) roll.set(change.id, { isLearner: false });
      break;
    case "remove":
      roll.delete(change.id);
      break;
    default:
  }
}
