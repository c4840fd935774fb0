import { findMember } from "../membership/types.ts";
import { StoreError } from "../proto/errors.ts";
import { RangeRequest } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { decodeRequest } from "./decode-request.ts";
import type { Handler, ServiceTable } from "./service.ts";

const STATUS = "/etcdserverpb.Maintenance/Status";
const SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot";
const RANGE = "/etcdserverpb.KV/Range";

/**
 * The same table, where a member that is a learner refuses with NotSupportedForLearner all but its status, its snapshot and
 * serializable reads (etcd v3rpc/interceptor.go).
 */
export function refuseLearner(
  table: ServiceTable,
  replica: Pick<Replica, "memberId"> & { readonly state: Pick<Replica["state"], "members"> },
): ServiceTable {
  const isLearner = () => findMember(replica.state.members, replica.memberId)?.isLearner === true;
  return new Map([...table].map(([path, handler]) => [path, checked(path, handler, isLearner)]));
}

function checked(path: string, handler: Handler, isLearner: () => boolean): Handler {
  const check = (request: Uint8Array | undefined) => {
    if (isLearner() && !isSupported(path, request)) throw new StoreError("NotSupportedForLearner");
  };
  if (handler.kind === "unary") {
    const { call } = handler;
    return {
      kind: "unary",
      call: async (request, context) => {
        check(request);
        return call(request, context);
      },
    };
  }
  const { call } = handler;
  return {
    kind: "stream",
    call: async (requests, respond, context) => {
      check(undefined);
      return call(requests, respond, context);
    },
  };
}

function isSupported(path: string, request: Uint8Array | undefined): boolean {
  if (path === STATUS || path === SNAPSHOT) return true;
  return path === RANGE && request !== undefined && decodeRequest(RangeRequest, request).serializable;
}
