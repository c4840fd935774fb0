import { untilAborted } from "../../base/until-aborted.ts";
import { StoreError } from "../proto/errors.ts";
import { NONE } from "../raft/types.ts";
import type { Replica } from "../replica/replica.ts";
import type { LeaderLoss } from "./leader-loss.ts";
import type { CallContext, Handler, ServiceTable, StreamHandler } from "./service.ts";

/** Metadata with which a client says that it wants no answer from a member without a leader (etcd rpctypes). */
const METADATA_KEY = "hasleader";

export interface RequireLeaderOptions {
  readonly replica: Pick<Replica, "status">;
  readonly leaderLoss: Pick<LeaderLoss, "onLost">;
}

/**
 * The same table, where a call that requires a leader is refused with NoLeader while this member knows none, and where a
 * stream that does ends with NoLeader once the leader is lost: its client finds another member. Other streams go on.
 */
export function requireLeader(table: ServiceTable, options: RequireLeaderOptions): ServiceTable {
  return new Map([...table].map(([path, handler]) => [path, checked(handler, options)]));
}

function checked(handler: Handler, options: RequireLeaderOptions): Handler {
  const isRequired = ({ metadata }: CallContext) => metadata.get(METADATA_KEY) === "true";
  const check = () => {
    if (options.replica.status.leader === NONE) throw new StoreError("NoLeader");
  };
  if (handler.kind === "unary") {
    const { call } = handler;
    return {
      kind: "unary",
      call: async (request, context) => {
        if (isRequired(context)) check();
        return call(request, context);
      },
    };
  }
  const { call } = handler;
  return {
    kind: "stream",
    call: async (requests, respond, context) => {
      if (!isRequired(context)) return call(requests, respond, context);
      check();
      return whileLed(call, options)(requests, respond, context);
    },
  };
}

function whileLed(call: StreamHandler, { leaderLoss }: RequireLeaderOptions): StreamHandler {
  return async (requests, respond, { metadata, peer, signal: outer }) => {
    const controller = new AbortController();
    const { signal } = controller;
    const onAbort = () => controller.abort(outer.reason);
    outer.addEventListener("abort", onAbort, { once: true });
    if (outer.aborted) onAbort();
    const forget = leaderLoss.onLost(() => controller.abort(new StoreError("NoLeader")));
    try {
      await call(untilOver(requests, signal), respond, { metadata, peer, signal });
    } finally {
      forget();
      outer.removeEventListener("abort", onAbort);
    }
  };
}

/** The requests; throws the signal's reason when it is aborted, though no request comes. */
async function* untilOver(
  requests: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = requests[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), { signal });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: it may stand at a request that never comes.
    iterator.return?.()?.catch(() => undefined);
  }
}
