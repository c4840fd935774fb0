import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import { callPeer, type PeerCall } from "../peer/peer-call.ts";
import { STORE_ERRORS, StoreError, type StoreErrorCode } from "../proto/errors.ts";
import { MemberPromoteRequest } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import type { PromoteAtLeader } from "./cluster-service.ts";
import { PROMOTE_CALL } from "./peer-calls.ts";

/** Between two tries. */
const RETRY_MS = 100;

/** What a leader that is one no longer, or is not yet, says: another may do it. */
const TRY_AGAIN: ReadonlySet<string> = new Set<StoreErrorCode>([
  "NotLeader",
  "NoLeader",
  "LeaderChanged",
  "Timeout",
  "Stopped",
]);

/**
 * Has the leader promote a learner, whoever leads by then, within `timeoutMs` (etcd server.go PromoteMember); Timeout when
 * none could be asked until then.
 */
export function promoteAtLeader(options: {
  readonly replica: Pick<Replica, "status"> & { readonly state: Pick<Replica["state"], "members"> };
  readonly timeoutMs: number;
  readonly clock: Clock;
}): PromoteAtLeader {
  const { replica, timeoutMs, clock } = options;
  return async (id, { signal }) => {
    const call = { method: PROMOTE_CALL, body: MemberPromoteRequest.encode({ ID: id }).finish() };
    const endsAtMs = clock.monotonicMs() + timeoutMs;
    for (let leftMs = timeoutMs; leftMs > 0; leftMs = endsAtMs - clock.monotonicMs()) {
      const { leader } = replica.status;
      const urls = replica.state.members.find((member) => member.id === leader)?.peerUrls ?? [];
      for (const url of urls) {
        const answer = await tryOne(url, call, { timeoutMs: leftMs, signal });
        if (answer !== undefined) return answer;
      }
      await clock.sleep(Math.min(RETRY_MS, leftMs), { signal });
    }
    throw new StoreError("Timeout");
  };
}

/** Undefined: to be tried again. */
async function tryOne(
  url: string,
  call: PeerCall,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Uint8Array | undefined> {
  try {
    return await callPeer(url, call, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof CodedError)) throw error;
    if (isStoreErrorCode(error.code) && !TRY_AGAIN.has(error.code)) throw new StoreError(error.code);
    return undefined;
  }
}

function isStoreErrorCode(code: string): code is StoreErrorCode {
  return Object.hasOwn(STORE_ERRORS, code);
}
