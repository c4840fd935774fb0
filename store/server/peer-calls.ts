import { CodedError } from "../../base/errors.ts";
import { fromMessage, toMessage } from "../membership/member-codec.ts";
import type { FetchMembers } from "../membership/remote-cluster.ts";
import type { CallHandler } from "../peer/call-server.ts";
import { callPeer } from "../peer/peer-call.ts";
import { StoreError } from "../proto/errors.ts";
import {
  HashKVRequest,
  HashKVResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberListResponse,
  MemberPromoteRequest,
} from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { decodeRequest } from "./decode-request.ts";
import type { KvHashes } from "./kv-hashes.ts";
import { decodeLeaseSeconds, encodeLeaseSeconds, type LeasesAtLeader } from "./leases-at-leader.ts";
import type { MemberChanges } from "./member-changes.ts";

/**
 * The questions that members ask each other beside the log, as etcd's peer port has `/members`, `/members/promote/`,
 * `/leases`, `/leases/internal` and `/members/hashkv`.
 */
export const MEMBERS_CALL = "members";
export const PROMOTE_CALL = "promote";
export const RENEW_CALL = "lease-renew";
export const TIME_TO_LIVE_CALL = "lease-time-to-live";
export const HASH_CALL = "hash-kv";
/** Ours: what the compaction at a revision hashed, which etcd asks for with the same question as any other hash. */
export const COMPACTION_HASH_CALL = "compaction-hash";

export interface CallsServed {
  readonly replica: Pick<Replica, "clusterId" | "memberId" | "status" | "readIndex"> & {
    readonly state: Pick<Replica["state"], "members" | "revision">;
  };
  readonly changes: Pick<MemberChanges, "promote">;
  readonly leases: Pick<LeasesAtLeader, "renew" | "remainingSeconds">;
  readonly hashes: Pick<KvHashes, "now" | "ofCompaction">;
}

/** Answers the calls of other members; a transport is there before what it asks is. */
export class PeerCalls {
  #served: CallsServed | undefined;

  serve(served: CallsServed): void {
    this.#served = served;
  }

  readonly answer: CallHandler = async ({ method, body }, options) => {
    if (this.#served === undefined) throw new StoreError("Stopped");
    const { replica, changes, leases, hashes } = this.#served;
    switch (method) {
      case MEMBERS_CALL: {
        const { clusterId, memberId, status } = replica;
        const header = { clusterId, memberId, revision: 0, raftTerm: status.term };
        return MemberListResponse.encode({ header, members: replica.state.members.map(toMessage) }).finish();
      }
      case PROMOTE_CALL:
        return changes.promote(decodeRequest(MemberPromoteRequest, body).ID, options);
      case RENEW_CALL:
        return encodeLeaseSeconds(await leases.renew([...decodeLeaseSeconds(body).keys()], options));
      case TIME_TO_LIVE_CALL: {
        const { ID } = decodeRequest(LeaseTimeToLiveRequest, body);
        const TTL = await leases.remainingSeconds(ID, options);
        return LeaseTimeToLiveResponse.encode(LeaseTimeToLiveResponse.fromPartial({ ID, TTL })).finish();
      }
      case HASH_CALL: {
        const { revision } = decodeRequest(HashKVRequest, body);
        // A member that is a little behind has the revision by then.
        if (revision > replica.state.revision) await replica.readIndex(options);
        const held = await hashes.now(revision, options);
        return HashKVResponse.encode({ header: undefined, ...held }).finish();
      }
      case COMPACTION_HASH_CALL: {
        const { revision } = decodeRequest(HashKVRequest, body);
        const held = hashes.ofCompaction(revision);
        if (held !== undefined) return HashKVResponse.encode({ header: undefined, ...held }).finish();
        throw new CodedError(
          "EPEERCALL",
          `Cannot tell the hash of the compaction at ${revision}: there is none`,
        );
      }
      default:
        throw new CodedError("EPEERCALL", `Cannot answer call "${method}": this version does not know it`);
    }
  };
}

/** Asks the member at a peer URL for the members of its cluster. */
export const fetchMembers: FetchMembers = async (peerUrl, options) => {
  const answer = await callPeer(peerUrl, { method: MEMBERS_CALL, body: Buffer.alloc(0) }, options);
  const { header, members } = MemberListResponse.decode(answer);
  return { clusterId: header?.clusterId ?? 0n, members: members.map(fromMessage) };
};
