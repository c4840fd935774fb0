import { runAtOnce } from "../../base/steps.ts";
import { BUCKETS } from "../../store/backend/port.ts";
import { KeyValue } from "../../store/proto/gen/kv.ts";
import { RangeRequest } from "../../store/proto/gen/rpc.ts";
import { Violation } from "../support/violation.ts";
import { assertRange } from "./answer-laws.ts";
import type { SimMember } from "./sim-member.ts";
import { digestOf, type World } from "./world.ts";

const FROM_FIRST_KEY = Buffer.from([0]);

/** All members are open and have applied everything, it is flushed, no lease is left, and every watch has been told all. */
export function isQuiet(world: World): boolean {
  return unquiet(world) === "";
}

/** Why it is not; empty when it is. */
export function unquiet(world: World): string {
  const { cluster, laws, chronicle, leases } = world;
  const reasons: string[] = [];
  const members = cluster.living();
  if (!world.operator.isSettled) reasons.push("members and machines are not the same");
  if (members.length < cluster.ids().length)
    reasons.push(`${members.length} of ${cluster.ids().length} are open`);
  if (!members.some(({ replica }) => replica.status.role === "leader")) reasons.push("nobody leads");
  for (const { replica } of members) {
    const { state, status } = replica;
    const isEven =
      status.applied >= laws.committedIndex &&
      status.lastIndex === status.applied &&
      state.flushedIndex === state.appliedIndex &&
      state.revision === chronicle.revision;
    if (!isEven) reasons.push(describe(world, { replica }));
  }
  if (leases.open > 0) reasons.push(`${leases.open} leases have not ended`);
  for (const watch of world.watchClients) if (!watch.isCurrent) reasons.push(watch.describe());
  return reasons.join("; ");
}

/** At rest, everybody has the same, to the byte; and what is gone was deleted by somebody. */
export function assertAgreement(world: World): void {
  const [first, ...others] = world.cluster.living();
  if (first === undefined) return;
  for (const other of others) {
    const [own, their] = [hashOf(first), hashOf(other)];
    if (own === their) continue;
    throw new Violation("equal state", `${nameOf(first)} has ${own}, ${nameOf(other)} has ${their}`);
  }
  assertContent(world, first);
  const { firstAwaited } = world.chronicle;
  if (firstAwaited !== undefined)
    throw new Violation("linearizable", `somebody saw revision ${firstAwaited}, which nobody has applied`);
  world.operations.assertDeletesExplained();
}

/** What was acknowledged is there, and nothing else: the content is what the history makes of it. */
function assertContent({ chronicle }: World, { replica }: SimMember): void {
  const everything = RangeRequest.fromPartial({ key: FROM_FIRST_KEY, rangeEnd: FROM_FIRST_KEY });
  const { kvs, revision } = runAtOnce(replica.state.range(everything));
  const answer = { revision, kvs: kvs.map((kv) => KeyValue.decode(Buffer.from(kv))), what: "the last read" };
  assertRange(chronicle, { start: "", end: "\xff\xff" }, answer);
}

/** HashKV, which is the same whatever a compaction has got to; and the buckets that compaction leaves alone. */
function hashOf({ replica, backend }: SimMember): string {
  const { hash, hashRevision, compactRevision } = runAtOnce(replica.state.hashKv(0));
  const digests = BUCKETS.filter((bucket) => bucket !== "key" && bucket !== "meta").map((bucket) => {
    return `${bucket} ${digestOf(backend.file.tree(bucket).entries())}`;
  });
  return `${hash} at ${hashRevision} (compacted ${compactRevision}), ${digests.join(", ")}`;
}

function nameOf({ replica }: SimMember): string {
  return replica.memberId.toString(16);
}

function describe({ laws, chronicle }: World, { replica }: Pick<SimMember, "replica">): string {
  const { id, role, term, leader, commit, applied, lastIndex } = replica.status;
  const { flushedIndex, revision } = replica.state;
  return (
    `${id.toString(16)} ${role} of ${leader.toString(16)} t${term} last ${lastIndex} commit ${commit} of ${laws.committedIndex} ` +
    `applied ${applied} flushed ${flushedIndex} revision ${revision} of ${chronicle.revision}`
  );
}
