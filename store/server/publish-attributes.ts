import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { findMember, type MemberAttributes } from "../membership/types.ts";
import { StoreError } from "../proto/errors.ts";
import { ClusterMemberAttrSetRequest } from "../proto/gen/membership.ts";
import type { Replica } from "../replica/replica.ts";
import type { Proposals } from "./proposals.ts";

/** Between two tries, as the cluster may have no leader yet. */
const RETRY_MS = 100;

export interface PublishOptions {
  readonly replica: Pick<Replica, "memberId" | "state">;
  readonly proposals: Proposals;
  readonly attributes: MemberAttributes;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Tells the cluster this member's name and client URLs, and resolves when every member will know them, or when the signal
 * aborts; tries for as long as that takes (etcd server.go publishV3). Nothing is written when the cluster knows them.
 */
export async function publishAttributes(
  options: PublishOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { replica, proposals, attributes, clock, logger, signal } = options;
  const request = ClusterMemberAttrSetRequest.encode({
    memberID: replica.memberId,
    memberAttributes: { name: attributes.name, clientUrls: [...attributes.clientUrls] },
  }).finish();
  let warned = false;
  while (!signal.aborted && !isKnown(options)) {
    try {
      await proposals.propose("clusterMemberAttrSet", request, { signal });
      logger.info({ name: attributes.name }, "published this member to the cluster");
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof StoreError)) throw error;
      if (error.code === "Stopped") return;
      if (!warned)
        logger.warn({ reason: errorMessage(error) }, "cannot publish this member to the cluster yet");
      warned = true;
      await sleepUnlessAborted(clock, RETRY_MS, { signal });
    }
  }
}

function isKnown({ replica, attributes: { name, clientUrls } }: PublishOptions): boolean {
  const own = findMember(replica.state.members, replica.memberId);
  if (own === undefined || own.name !== name || own.clientUrls.length !== clientUrls.length) return false;
  return own.clientUrls.every((url, index) => url === clientUrls[index]);
}
