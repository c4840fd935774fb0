import type { Random } from "../../base/random.ts";
import type { Lessor } from "../lease/types.ts";
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
import type { AskLeader } from "./ask-leader.ts";
import { decodeRequest } from "./decode-request.ts";
import type { LeaseRenewals } from "./lease-renewals.ts";
import { TIME_TO_LIVE_CALL } from "./peer-calls.ts";
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
  readonly renewals: Pick<LeaseRenewals, "renew">;
  readonly askLeader: AskLeader;
  readonly random: Random;
}

/** The service Lease (etcd rpc.proto). Grant and revoke are proposed; time is the leader's alone. */
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
function keepAlive({ renewals, headers, replica }: LeaseServiceOptions): StreamHandler {
  return async (requests, respond, context) => {
    for await (const bytes of requests) {
      const { ID } = decodeRequest(LeaseKeepAliveRequest, bytes);
      // The revision of before the renewal: a client must never see a renewal at a revision after the revocation.
      const { revision } = replica.state;
      const TTL = await renewals.renew(ID, context);
      const body = LeaseKeepAliveResponse.encode({ header: undefined, ID, TTL }).finish();
      await respond(headers.before(revision, body));
    }
  };
}

/** What is left is the leader's to say; the keys are the same here, and may be more than an answer between members holds. */
async function timeToLive(
  { lessor, headers, replica, askLeader }: LeaseServiceOptions,
  bytes: Uint8Array,
  context: CallContext,
): Promise<Buffer> {
  const { ID, keys } = decodeRequest(LeaseTimeToLiveRequest, bytes);
  const body = LeaseTimeToLiveRequest.encode({ ID, keys: false }).finish();
  const { TTL } = LeaseTimeToLiveResponse.decode(
    await askLeader({ method: TIME_TO_LIVE_CALL, body }, context),
  );
  await replica.readIndex(context);
  const lease = lessor.lookup(ID);
  const isThere = lease !== undefined && TTL !== -1;
  const answer = LeaseTimeToLiveResponse.encode({
    header: undefined,
    ID,
    TTL: isThere ? TTL : -1,
    grantedTTL: isThere ? lease.grantedTtlSeconds : 0,
    keys: isThere && keys ? [...lease.keys].map((key) => Buffer.from(key, "latin1")) : [],
  }).finish();
  return headers.before(replica.state.revision, answer);
}

/** At the leader soonest to expire first, as etcd lists them; the others know the leases, and not their time. */
async function leases(
  { lessor, headers, replica }: LeaseServiceOptions,
  context: CallContext,
): Promise<Buffer> {
  await replica.readIndex(context);
  const statuses = Array.from(lessor.all(), ({ id }) => ({ ID: id }));
  const body = LeaseLeasesResponse.encode({ header: undefined, leases: statuses }).finish();
  return headers.before(replica.state.revision, body);
}
