import { StoreError } from "../proto/errors.ts";
import type { Replica } from "../replica/replica.ts";
import type { CallContext, Handler, ServiceTable } from "./service.ts";

/** Metadata with which a client says that it wants no answer from a member without a leader (etcd rpctypes). */
const METADATA_KEY = "hasleader";

/** The same table, where a call that requires a leader is refused with NoLeader while this member knows none. */
export function requireLeader(table: ServiceTable, replica: Pick<Replica, "status">): ServiceTable {
  const check = ({ metadata }: CallContext) => {
    if (replica.status.leader === 0n && metadata.get(METADATA_KEY) === "true")
      throw new StoreError("NoLeader");
  };
  return new Map([...table].map(([path, handler]) => [path, checked(handler, check)]));
}

function checked(handler: Handler, check: (context: CallContext) => void): Handler {
  if (handler.kind === "unary") {
    const { call } = handler;
    return {
      kind: "unary",
      call: async (request, context) => {
        check(context);
        return call(request, context);
      },
    };
  }
  const { call } = handler;
  return {
    kind: "stream",
    call: async (requests, respond, context) => {
      check(context);
      return call(requests, respond, context);
    },
  };
}
