import type { Logger } from "../../base/log.ts";
import { GRPC_CODE, StoreError } from "../proto/errors.ts";
import { DowngradeRequest, DowngradeRequest_DowngradeAction, DowngradeResponse } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { decodeRequest } from "./decode-request.ts";
import type { ResponseHeaders } from "./response-header.ts";
import { type CallContext, CallError } from "./service.ts";
import { ETCD_MINOR_VERSION } from "./version.ts";

export interface DowngradeOptions {
  readonly replica: Pick<Replica, "readIndex"> & { readonly state: Pick<Replica["state"], "revision"> };
  readonly headers: ResponseHeaders;
  readonly logger: Logger;
}

const { VALIDATE, ENABLE, CANCEL } = DowngradeRequest_DowngradeAction;

/** Between the dots of a pre-release and of metadata, which may be empty as a whole (coreos/go-semver). */
const IDENTIFIERS = String.raw`(?:[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?`;
const VERSION = new RegExp(String.raw`^(\d+)\.(\d+)\.(\d+)(?:-${IDENTIFIERS})?(?:\+${IDENTIFIERS})?$`);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * Maintenance.Downgrade (etcd v3_server.go Downgrade). There is no older version whose files this one could write, so that
 * every target is refused, in etcd's words, and none is ever under way.
 */
export async function downgrade(
  { replica, headers, logger }: DowngradeOptions,
  bytes: Uint8Array,
  context: CallContext,
): Promise<Buffer> {
  const { action, version } = decodeRequest(DowngradeRequest, bytes);
  if (action === VALIDATE || action === ENABLE) {
    if (!isVersion(version) && !isVersion(`${version}.0`))
      throw new StoreError("WrongDowngradeVersionFormat");
    await replica.readIndex(context);
    throw new StoreError("InvalidDowngradeTargetVersion");
  }
  if (action !== CANCEL) throw new CallError(GRPC_CODE.unknown, "etcdserver: unknown method");
  // etcd answers that it is done, and says in its log alone that there was nothing to cancel.
  logger.warn({ reason: "etcdserver: no inflight downgrade job" }, "failed to cancel downgrade");
  const body = DowngradeResponse.encode({ header: undefined, version: clusterVersion() }).finish();
  return headers.before(replica.state.revision, body);
}

/** "3.7". */
function clusterVersion(): string {
  return ETCD_MINOR_VERSION.split(".").slice(0, 2).join(".");
}

function isVersion(text: string): boolean {
  const numbers = VERSION.exec(text)?.slice(1) ?? [];
  return numbers.length === 3 && numbers.every((number) => BigInt(number) <= INT64_MAX);
}
