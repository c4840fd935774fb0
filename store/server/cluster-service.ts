import { GRPC_CODE } from "../proto/errors.ts";
import { MemberListRequest, MemberListResponse } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { decodeRequest } from "./decode-request.ts";
import type { MemberInfo } from "./member.ts";
import type { ResponseHeaders } from "./response-header.ts";
import { CallError, type Handler, type ServiceTable } from "./service.ts";

const CHANGES = ["MemberAdd", "MemberRemove", "MemberUpdate", "MemberPromote"];

/** The service Cluster (etcd rpc.proto). The list is read; changes of membership are refused in words. */
export function clusterService(options: {
  readonly replica: Replica;
  readonly headers: ResponseHeaders;
  readonly members: () => readonly MemberInfo[];
}): ServiceTable {
  const { replica, headers, members } = options;
  const list: Handler = {
    kind: "unary",
    call: async (bytes, context) => {
      if (decodeRequest(MemberListRequest, bytes).linearizable) await replica.readIndex(context);
      const body = MemberListResponse.encode({
        header: undefined,
        members: members().map(({ id, name, peerUrls, clientUrls }) => ({
          ID: id,
          name,
          peerURLs: [...peerUrls],
          clientURLs: [...clientUrls],
          isLearner: false,
        })),
      }).finish();
      // The list has no revision of the store (etcd answers 0 here).
      return headers.before(0, body);
    },
  };
  return new Map<string, Handler>([
    ["/etcdserverpb.Cluster/MemberList", list],
    ...CHANGES.map((name): [string, Handler] => [`/etcdserverpb.Cluster/${name}`, refusal(name)]),
  ]);
}

function refusal(name: string): Handler {
  return {
    kind: "unary",
    call: () => {
      const message = `logstore: ${name} is not supported: this release runs clusters of one member`;
      return Promise.reject(new CallError(GRPC_CODE.unimplemented, message));
    },
  };
}
