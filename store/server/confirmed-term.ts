import { StoreError } from "../proto/errors.ts";
import type { Replica } from "../replica/replica.ts";

/**
 * Resolves with the term in which this member leads, after a quorum has confirmed it and all of what earlier leaders
 * committed is applied here: one that was paused, and replaced meanwhile, believes itself leader still (etcd v3_server.go
 * ensureLeadership). Throws StoreError: NotLeader, and what {@link Replica.readIndex} rejects with.
 */
export async function confirmedTerm(
  replica: Pick<Replica, "status" | "readIndex">,
  options: { readonly signal: AbortSignal },
): Promise<number> {
  const { role, term } = replica.status;
  if (role === "leader") await replica.readIndex(options);
  const { status } = replica;
  if (role !== "leader" || status.role !== "leader" || status.term !== term)
    throw new StoreError("NotLeader");
  return term;
}
