import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Lessor } from "../lease/types.ts";
import { StoreError } from "../proto/errors.ts";
import {
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { decodeRequest } from "./decode-request.ts";
import type { Proposals } from "./proposals.ts";
import type { ResponseHeaders } from "./response-header.ts";
import type { CallContext, Handler, ServiceTable, StreamHandler } from "./service.ts";

/** Lease ids are positive int64. */
const LEASE_ID_MASK = 0x7fff_ffff_ffff_ffffn;

export interface LeaseServiceOptions {
  readonly replica: Replica;
  readonly lessor: Lessor;
  readonly proposals: Proposals;
  readonly headers: ResponseHeaders;
  readonly clock: Clock;
  readonly random: Random;
}

/** The service Lease (etcd rpc.proto). Grant and revoke are proposed; renewals are this leader's alone. */
export function leaseService(options: LeaseServiceOptions): ServiceTable {
  return new Map<string, Handler>([
    [
      "/etcdserverpb.Lease/LeaseGrant",
      { kind: "unary", call: (bytes, context) => grant(options, bytes, context) },
    ],
    [
      "/etcdserverpb.Lease/LeaseRevoke",
      { kind: "unary", call: (bytes, context) => revoke(options, bytes, context) },
    ],
    ["/etcdserverpb.Lease/LeaseKeepAlive", { kind: "stream", call: keepAlive(options) }],
    [
      "/etcdserverpb.Lease/LeaseTimeToLive",
      { kind: "unary", call: (bytes, context) => timeToLive(options, bytes, context) },
    ],
    ["/etcdserverpb.Lease/LeaseLeases", { kind: "unary", call: (_, context) => leases(options, context) }],
  ]);
}

async function grant(options: LeaseServiceOptions, bytes: Uint8Array, context: CallContext): Promise<Buffer> {
  const request = decodeRequest(LeaseGrantRequest, bytes);
  const value = request.ID === 0n ? { ...request, ID: freeLeaseId(options) } : request;
  await options.proposals.assertRoom({ $case: "leaseGrant", value }, context);
  const proposal = value === request ? bytes : LeaseGrantRequest.encode(value).finish();
  const { revision, response } = await options.proposals.propose("leaseGrant", proposal, context);
  return options.headers.before(revision, response);
}

/** Chosen here and not at apply, so that every member grants the same id. */
function freeLeaseId({ lessor, random }: LeaseServiceOptions): bigint {
  for (;;) {
    const id = random.uint64() & LEASE_ID_MASK;
    if (id !== 0n && lessor.lookup(id) === undefined) return id;
  }
}

async function revoke(
  { proposals, headers }: LeaseServiceOptions,
  bytes: Uint8Array,
  context: CallContext,
): Promise<Buffer> {
  decodeRequest(LeaseRevokeRequest, bytes);
  const { revision, response } = await proposals.propose("leaseRevoke", bytes, context);
  return headers.before(revision, response);
}

/** Answers in the order of the requests; a lease that is gone is TTL 0, not an error. */
function keepAlive({ lessor, clock, headers, replica }: LeaseServiceOptions): StreamHandler {
  return async (requests, respond, context) => {
    for await (const bytes of requests) {
      const { ID } = decodeRequest(LeaseKeepAliveRequest, bytes);
      await assertLeads(replica, context);
      // The revision of before the renewal: a client must never see a renewal at a revision after the revocation.
      const { revision } = replica.state;
      const TTL = orGone(() => lessor.renew(ID, clock.monotonicMs())) ?? 0;
      const body = LeaseKeepAliveResponse.encode({ header: undefined, ID, TTL }).finish();
      await respond(headers.before(revision, body));
    }
  };
}

/**
 * A leader that has been replaced, and does not know it yet, would promise what the new one knows nothing of (etcd
 * v3_server.go, ensureLeadership). Throws StoreError NotLeader.
 */
async function assertLeads(replica: Replica, context: CallContext): Promise<void> {
  const { role, term } = replica.status;
  if (role === "leader") await replica.readIndex(context);
  if (replica.status.role !== "leader" || replica.status.term !== term) throw new StoreError("NotLeader");
}

async function timeToLive(
  { lessor, clock, headers, replica }: LeaseServiceOptions,
  bytes: Uint8Array,
  context: CallContext,
): Promise<Buffer> {
  const { ID, keys } = decodeRequest(LeaseTimeToLiveRequest, bytes);
  await replica.readIndex(context);
  const lease = lessor.lookup(ID);
  const TTL = orGone(() => lessor.remainingSeconds(ID, clock.monotonicMs())) ?? -1;
  const isThere = lease !== undefined && TTL !== -1;
  const body = LeaseTimeToLiveResponse.encode({
    header: undefined,
    ID,
    TTL,
    grantedTTL: isThere ? lease.grantedTtlSeconds : 0,
    keys: isThere && keys ? [...lease.keys].map((key) => Buffer.from(key, "latin1")) : [],
  }).finish();
  return headers.before(replica.state.revision, body);
}

/** Soonest to expire first, as etcd lists them. */
async function leases(
  { lessor, clock, headers, replica }: LeaseServiceOptions,
  context: CallContext,
): Promise<Buffer> {
  await replica.readIndex(context);
  const nowMs = clock.monotonicMs();
  const statuses = [...lessor.all()]
    .map(({ id }) => ({ ID: id, secondsLeft: orGone(() => lessor.remainingSeconds(id, nowMs)) ?? 0 }))
    .sort((one, other) => one.secondsLeft - other.secondsLeft || (one.ID < other.ID ? -1 : 1));
  const body = LeaseLeasesResponse.encode({ header: undefined, leases: statuses }).finish();
  return headers.before(replica.state.revision, body);
}

function orGone(read: () => number): number | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StoreError && error.code === "LeaseNotFound") return undefined;
    throw error;
  }
}
