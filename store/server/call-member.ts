import { CodedError } from "../../base/errors.ts";
import type { Member } from "../membership/types.ts";
import { callPeer, type PeerCall } from "../peer/peer-call.ts";
import { isStoreErrorCode } from "../proto/errors.ts";

/**
 * Asks another member beside the log. Rejects with a CodedError whose code and words are the member's, with that of the way
 * there, or with the signal's reason.
 */
export type CallMember = (
  member: Pick<Member, "peerUrls">,
  call: PeerCall,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<Uint8Array>;

/** At its peer URLs, one after the other, until it answers. */
export const callMember: CallMember = async ({ peerUrls }, call, options) => {
  let failure = new CodedError("EPEERCALL", "Cannot ask a member that has no peer URL");
  for (const url of peerUrls) {
    try {
      return await callPeer(url, call, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof CodedError) || isStoreErrorCode(error.code)) throw error;
      failure = error;
    }
  }
  throw failure;
};
