import { CodedError, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Member } from "../membership/types.ts";
import { HashKVRequest, HashKVResponse } from "../proto/gen/rpc.ts";
import { idText } from "../raft/id-text.ts";
import type { CallMember } from "./call-member.ts";
import type { HeldHash } from "./corrupt-members.ts";

/**
 * Asks members what they hold at a revision, all at once; without those that cannot be compared, with a line in the log for
 * each. `method` is HASH_CALL or COMPACTION_HASH_CALL.
 */
export async function askHashes(
  members: readonly Member[],
  revision: number,
  options: {
    readonly method: string;
    readonly callMember: CallMember;
    readonly logger: Logger;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<readonly (HeldHash & { readonly member: Member })[]> {
  const { method, callMember, logger, signal } = options;
  const body = HashKVRequest.encode({ revision }).finish();
  const ask = async (member: Member) => {
    try {
      const answer = await callMember(member, { method, body }, options);
      const { hash, compactRevision } = HashKVResponse.decode(answer);
      return { id: member.id, hash, compactRevision, member };
    } catch (error) {
      signal.throwIfAborted();
      const code = error instanceof CodedError ? error.code : undefined;
      logger.warn(
        { member: idText(member.id), revision, code, reason: errorMessage(error) },
        "cannot compare the hash of a member",
      );
      return undefined;
    }
  };
  return (await Promise.all(members.map(ask))).filter((held) => held !== undefined);
}
