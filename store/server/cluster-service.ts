import type { Clock } from "../../base/clock.ts";
import { parseOwnPeerUrls } from "../../conf/peer-urls.ts";
import { toMessage } from "../membership/member-codec.ts";
import { memberId } from "../membership/member-id.ts";
import { unstarted } from "../membership/types.ts";
import { StoreError } from "../proto/errors.ts";
import {
  MemberAddRequest,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberRemoveRequest,
  MemberUpdateRequest,
} from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { decodeRequest } from "./decode-request.ts";
import type { MemberChanges } from "./member-changes.ts";
import type { ResponseHeaders } from "./response-header.ts";
import type { CallContext, Handler, ServiceTable } from "./service.ts";

/**
 * Has the leader promote a learner, for a member that does not lead, and gives the marshalled response without its header.
 * Rejects with the leader's StoreError; NoLeader when there is none.
 */
export type PromoteAtLeader = (id: bigint, options: { readonly signal: AbortSignal }) => Promise<Uint8Array>;

export interface ClusterServiceOptions {
  readonly replica: Replica;
  readonly headers: ResponseHeaders;
  readonly changes: MemberChanges;
  readonly promoteAtLeader: PromoteAtLeader;
  readonly clock: Clock;
}

/** The service Cluster (etcd rpc.proto). */
export function clusterService(options: ClusterServiceOptions): ServiceTable {
  const methods = {
    MemberAdd: add,
    MemberRemove: remove,
    MemberUpdate: update,
    MemberPromote: promote,
    MemberList: list,
  };
  return new Map<string, Handler>(
    Object.entries(methods).map(([name, method]): [string, Handler] => [
      `/etcdserverpb.Cluster/${name}`,
      {
        kind: "unary",
        // Its answers have no revision of the store (etcd gives 0 here).
        call: async (bytes, context) => options.headers.before(0, await method(options, bytes, context)),
      },
    ]),
  );
}

type Method = (
  options: ClusterServiceOptions,
  bytes: Uint8Array,
  context: CallContext,
) => Promise<Uint8Array>;

const add: Method = async ({ changes, clock }, bytes, context) => {
  const { peerURLs, isLearner } = decodeRequest(MemberAddRequest, bytes);
  const peerUrls = checkedUrls(peerURLs);
  // No token, and the time: the same URLs, added again, are another member (etcd v3rpc/member.go).
  const id = memberId(peerUrls, "", Math.floor(clock.wallMs() / 1_000));
  return changes.add(unstarted(id, peerUrls, isLearner), context);
};

const remove: Method = async ({ changes }, bytes, context) =>
  changes.remove(decodeRequest(MemberRemoveRequest, bytes).ID, context);

const update: Method = async ({ changes }, bytes, context) => {
  const { ID, peerURLs } = decodeRequest(MemberUpdateRequest, bytes);
  return changes.update(ID, checkedUrls(peerURLs), context);
};

const promote: Method = async ({ changes, promoteAtLeader }, bytes, context) => {
  const { ID } = decodeRequest(MemberPromoteRequest, bytes);
  try {
    return await changes.promote(ID, context);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "NotLeader") throw error;
    return promoteAtLeader(ID, context);
  }
};

const list: Method = async ({ replica }, bytes, context) => {
  if (decodeRequest(MemberListRequest, bytes).linearizable) await replica.readIndex(context);
  const members = replica.state.members.map(toMessage);
  return MemberListResponse.encode({ header: undefined, members }).finish();
};

function checkedUrls(texts: readonly string[]): readonly string[] {
  const parsed = parseOwnPeerUrls(texts);
  if ("problem" in parsed) throw new StoreError("MemberBadURLs");
  return parsed.urls;
}
