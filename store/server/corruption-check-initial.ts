import { CodedError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { RunSteps } from "../../base/steps.ts";
import type { StateMachine } from "../apply/types.ts";
import { idText } from "../raft/id-text.ts";
import { askHashes } from "./ask-hashes.ts";
import type { CallMember } from "./call-member.ts";
import { HASH_CALL } from "./peer-calls.ts";

/** How long a start waits for another member to hash its store; one that cannot be reached is given up much sooner. */
const HASH_TIMEOUT_MS = 60_000;
const NEVER = new AbortController().signal;

/**
 * Compares what a member has in its file with what the others have at that revision, before it takes part in anything (etcd
 * corrupt.go InitialCheck). Others that are away, behind, or compacted at another revision are passed over. Throws
 * CodedError ECORRUPT when one holds something else.
 */
export async function checkInitialCorruption(options: {
  readonly memberId: bigint;
  readonly state: Pick<StateMachine, "members" | "hashKv">;
  readonly run: RunSteps;
  readonly callMember: CallMember;
  readonly logger: Logger;
}): Promise<void> {
  const { memberId, state, run, logger } = options;
  const member = idText(memberId);
  const others = state.members.filter(({ id }) => id !== memberId);
  logger.info({ member, others: others.length }, "starting initial corruption check");
  const own = await run(state.hashKv(0));
  const { hashRevision: revision, compactRevision } = own;
  const asked = { ...options, method: HASH_CALL, timeoutMs: HASH_TIMEOUT_MS, signal: NEVER };
  const different = (await askHashes(others, revision, asked)).filter(({ hash }) => hash !== own.hash);
  const corrupt = different.filter((held) => held.compactRevision === compactRevision);
  for (const held of different.filter((one) => !corrupt.includes(one))) {
    const fields = { member: idText(held.id), revision, compactRevision, theirs: held.compactRevision };
    logger.warn(fields, "found different compact revision values from remote peer");
  }
  if (corrupt.length > 0) {
    const theirs = corrupt.map((held) => `${nameOf(held)} has ${held.hash}`).join(", ");
    throw new CodedError(
      "ECORRUPT",
      `${member} found data inconsistency with peers: at revision ${revision}, compacted at ${compactRevision}, ` +
        `its hash is ${own.hash}, and ${theirs}`,
    );
  }
  logger.info({ member, revision }, "initial corruption checking passed; no corruption");
}

/** `member 91bc3c398fb3c146 (store2, http://10.0.1.11:2380)`. */
function nameOf({
  member: { id, name, peerUrls },
}: {
  readonly member: StateMachine["members"][number];
}): string {
  return `member ${idText(id)} (${[name, ...peerUrls].filter((text) => text !== "").join(", ")})`;
}
