import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { STORE_ERRORS, type StoreErrorCode } from "../../../store/proto/errors.ts";
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
} from "../../../store/proto/gen/health.ts";
import {
  AlarmRequest,
  AlarmResponse,
  AlarmType,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthStatusRequest,
  AuthStatusResponse,
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  HashKVRequest,
  HashKVResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RangeStreamResponse,
  SnapshotRequest,
  SnapshotResponse,
  StatusRequest,
  StatusResponse,
  TxnRequest,
  TxnResponse,
} from "../../../store/proto/gen/rpc.ts";
import { CLUSTER_ID, MEMBER_ID } from "./lone-member.ts";
import { MemberBed } from "./member-bed.ts";

const KV = "etcdserverpb.KV";
const LEASE = "etcdserverpb.Lease";
const MAINTENANCE = "etcdserverpb.Maintenance";
const END = Buffer.from([0]);

const text = (value: string) => Buffer.from(value);

function put(
  bed: MemberBed,
  key: string,
  value: string | Buffer = "",
  more: object = {},
): Promise<PutResponse> {
  const request = { key: text(key), value: Buffer.from(value), ...more };
  return bed.call(`${KV}/Put`, [PutRequest, PutResponse], request);
}

function range(bed: MemberBed, request: object): Promise<RangeResponse> {
  return bed.call(`${KV}/Range`, [RangeRequest, RangeResponse], request);
}

function refusedAs(code: StoreErrorCode): object {
  return { code, message: STORE_ERRORS[code][1], grpcCode: STORE_ERRORS[code][0] };
}

suite("KV", () => {
  test("Put, Range and DeleteRange answer with a whole header", async () => {
    await using bed = await MemberBed.open();
    const { header } = await put(bed, "a", "1");
    assert.equal(header?.clusterId, CLUSTER_ID);
    assert.equal(header?.memberId, MEMBER_ID);
    assert.equal(header?.revision, 2);
    assert.equal(header?.raftTerm, bed.member.replica.status.term);
    const { prevKv } = await put(bed, "a", "2", { prevKv: true });
    assert.equal(String(prevKv?.value), "1");
    const found = await range(bed, { key: text("a") });
    assert.deepEqual(
      found.kvs.map(({ key, value, version, createRevision, modRevision }) => [
        String(key),
        String(value),
        version,
        createRevision,
        modRevision,
      ]),
      [["a", "2", 2, 2, 3]],
    );
    assert.deepEqual([found.header?.revision, found.count, found.more], [3, 1, false]);
    const deleted = await bed.call(`${KV}/DeleteRange`, [DeleteRangeRequest, DeleteRangeResponse], {
      key: text("a"),
      prevKv: true,
    });
    assert.deepEqual(
      [deleted.header?.revision, deleted.deleted, String(deleted.prevKvs[0]?.value)],
      [4, 1, "2"],
    );
  });

  test("Range of an old revision has the store's revision in its header", async () => {
    await using bed = await MemberBed.open();
    await put(bed, "a", "1");
    await put(bed, "a", "2");
    const { header, kvs } = await range(bed, { key: text("a"), revision: 2 });
    assert.deepEqual([header?.revision, String(kvs[0]?.value)], [3, "1"]);
  });

  test("a large Range gives other work its turn and still is of one revision", async () => {
    await using bed = await MemberBed.open();
    const value = Buffer.alloc(2_000);
    const keys = Array.from({ length: 3_000 }, (_, number) => `k${String(number).padStart(5, "0")}`);
    await Promise.all(keys.map((key) => put(bed, key, value)));
    const { revision } = bed.member.replica.state;
    const reading = range(bed, { key: text("k"), rangeEnd: text("l") });
    const writing = put(bed, "k00000", "newer");
    const [{ header, kvs }] = await Promise.all([reading, writing]);
    assert.equal(kvs.length, keys.length);
    const readAt = header?.revision ?? 0;
    assert.ok(readAt >= revision);
    for (const kv of kvs) assert.ok(kv.modRevision <= readAt, "nothing newer than the header says");
    if (readAt === revision) assert.equal(kvs[0]?.value.length, value.length);
  });

  test("RangeStream gives pieces that make up the Range, the header in the last", async () => {
    await using bed = await MemberBed.open();
    for (let number = 0; number < 5; number += 1) await put(bed, `k${number}`, Buffer.alloc(700_000, number));
    const pieces = await bed.stream(
      `${KV}/RangeStream`,
      [RangeRequest, RangeStreamResponse],
      [{ key: text("k"), rangeEnd: text("l"), limit: 4 }],
    );
    const responses = pieces.map(
      ({ rangeResponse }) => rangeResponse ?? assert.fail("no response in a piece"),
    );
    assert.deepEqual(
      responses.map(({ kvs }) => kvs.length),
      [2, 2],
    );
    assert.deepEqual(
      responses.flatMap(({ kvs }) => kvs.map(({ key }) => String(key))),
      ["k0", "k1", "k2", "k3"],
    );
    assert.deepEqual(
      responses.map(({ header, more, count }) => [header?.revision, more, count]),
      [
        [undefined, false, 0],
        [6, true, 5],
      ],
    );
    const sorted = { key: text("k"), sortOrder: 2, sortTarget: 1 };
    await assert.rejects(bed.stream(`${KV}/RangeStream`, [RangeRequest, RangeStreamResponse], [sorted]), {
      grpcCode: 12,
    });
  });

  test("Txn runs the branch that its comparisons choose; a read-only one is not proposed", async () => {
    await using bed = await MemberBed.open();
    await put(bed, "a", "1");
    const get = { request: { $case: "requestRange", value: { key: text("a") } } };
    const write = { request: { $case: "requestPut", value: { key: text("b"), value: text("2") } } };
    const isOne = { key: text("a"), target: 3, result: 0, targetUnion: { $case: "value", value: text("1") } };
    const types = [TxnRequest, TxnResponse] as const;
    const done = await bed.call(`${KV}/Txn`, types, { compare: [isOne], success: [write, get] });
    assert.deepEqual([done.succeeded, done.responses.length, done.header?.revision], [true, 2, 3]);
    const { commit } = bed.member.replica.status;
    const read = await bed.call(`${KV}/Txn`, types, { compare: [isOne], success: [get] });
    assert.equal(read.succeeded, true);
    assert.equal(read.header?.revision, 3);
    assert.equal(bed.member.replica.status.commit, commit, "nothing went into the log");
  });

  test("Compact drops history, physical waits for the records", async () => {
    await using bed = await MemberBed.open();
    for (let number = 0; number < 20; number += 1) await put(bed, "a", String(number));
    const types = [CompactionRequest, CompactionResponse] as const;
    const { header } = await bed.call(`${KV}/Compact`, types, { revision: 15, physical: true });
    assert.equal(header?.revision, 21);
    assert.equal(bed.member.replica.state.compactStep(), false, "nothing is left to drop");
    await assert.rejects(range(bed, { key: text("a"), revision: 14 }), refusedAs("Compacted"));
    assert.equal(String((await range(bed, { key: text("a"), revision: 15 })).kvs[0]?.value), "13");
    await assert.rejects(bed.call(`${KV}/Compact`, types, { revision: 15 }), refusedAs("Compacted"));
    await assert.rejects(bed.call(`${KV}/Compact`, types, { revision: 99 }), refusedAs("FutureRev"));
  });

  test("refuses bad requests in etcd's words", async () => {
    await using bed = await MemberBed.open({ requestBytesMax: 1_000, txnOpsMax: 2 });
    await assert.rejects(put(bed, ""), refusedAs("EmptyKey"));
    await assert.rejects(range(bed, {}), refusedAs("EmptyKey"));
    await assert.rejects(put(bed, "a", "x", { ignoreValue: true }), refusedAs("ValueProvided"));
    await assert.rejects(put(bed, "a", "", { ignoreValue: true }), refusedAs("KeyNotFound"));
    await assert.rejects(put(bed, "a", "", { lease: 5n, ignoreLease: true }), refusedAs("LeaseProvided"));
    await assert.rejects(put(bed, "a", "", { lease: 5n }), refusedAs("LeaseNotFound"));
    await assert.rejects(put(bed, "a", Buffer.alloc(1_001)), refusedAs("RequestTooLarge"));
    await assert.rejects(range(bed, { key: text("a"), revision: 9 }), refusedAs("FutureRev"));
    const write = (key: string) => ({ request: { $case: "requestPut", value: { key: text(key) } } });
    const types = [TxnRequest, TxnResponse] as const;
    const txn = (...keys: string[]) => bed.call(`${KV}/Txn`, types, { success: keys.map(write) });
    await assert.rejects(txn("a", "b", "c"), refusedAs("TooManyOps"));
    await assert.rejects(txn("a", "a"), refusedAs("DuplicateKey"));
    const handler = bed.services.table.get(`/${KV}/Put`);
    assert.ok(handler?.kind === "unary");
    const context = { metadata: new Map(), signal: new AbortController().signal, peer: "test" };
    await assert.rejects(handler.call(Buffer.from([0x0a, 0xff]), context), {
      grpcCode: 13,
      message: /^grpc: error unmarshalling request: /,
    });
  });
});

suite("Lease", () => {
  const grantTypes = [LeaseGrantRequest, LeaseGrantResponse] as const;
  const ttlTypes = [LeaseTimeToLiveRequest, LeaseTimeToLiveResponse] as const;

  test("Grant, TimeToLive, Leases, KeepAlive and Revoke", async () => {
    await using bed = await MemberBed.open();
    const granted = await bed.call(`${LEASE}/LeaseGrant`, grantTypes, { TTL: 100 });
    assert.ok(granted.ID > 0n);
    assert.deepEqual([granted.TTL, granted.error, granted.header?.revision], [100, "", 1]);
    await bed.call(`${LEASE}/LeaseGrant`, grantTypes, { TTL: 50, ID: 7n });
    await assert.rejects(
      bed.call(`${LEASE}/LeaseGrant`, grantTypes, { TTL: 50, ID: 7n }),
      refusedAs("LeaseExist"),
    );
    await put(bed, "k1", "", { lease: 7n });
    await put(bed, "k2", "", { lease: 7n });
    const left = await bed.call(`${LEASE}/LeaseTimeToLive`, ttlTypes, { ID: 7n, keys: true });
    assert.deepEqual([left.grantedTTL, left.keys.map(String).sort()], [50, ["k1", "k2"]]);
    assert.ok(left.TTL > 40 && left.TTL <= 50);
    const { leases } = await bed.call(`${LEASE}/LeaseLeases`, [LeaseLeasesRequest, LeaseLeasesResponse]);
    assert.deepEqual(
      leases.map(({ ID }) => ID),
      [7n, granted.ID],
      "soonest to expire first",
    );
    const kept = await bed.stream(
      `${LEASE}/LeaseKeepAlive`,
      [LeaseKeepAliveRequest, LeaseKeepAliveResponse],
      [{ ID: 7n }, { ID: 8n }],
    );
    assert.deepEqual(
      kept.map(({ ID, TTL }) => [ID, TTL]),
      [
        [7n, 50],
        [8n, 0],
      ],
    );
    await bed.call(`${LEASE}/LeaseRevoke`, [LeaseRevokeRequest, LeaseRevokeResponse], { ID: 7n });
    assert.equal((await range(bed, { key: text("k"), rangeEnd: text("l") })).count, 0);
    assert.equal((await bed.call(`${LEASE}/LeaseTimeToLive`, ttlTypes, { ID: 7n })).TTL, -1);
    await assert.rejects(
      bed.call(`${LEASE}/LeaseRevoke`, [LeaseRevokeRequest, LeaseRevokeResponse], { ID: 7n }),
      refusedAs("LeaseNotFound"),
    );
  });

  test("a lease that is not renewed is revoked with its keys", async () => {
    await using bed = await MemberBed.open();
    await bed.call(`${LEASE}/LeaseGrant`, grantTypes, { TTL: 1, ID: 7n });
    await put(bed, "k", "", { lease: 7n });
    while ((await range(bed, { key: text("k") })).count > 0) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal((await bed.call(`${LEASE}/LeaseTimeToLive`, ttlTypes, { ID: 7n })).TTL, -1);
  });
});

suite("Maintenance, Cluster, Auth and Health", () => {
  test("Status tells version, sizes, leader, term and indexes", async () => {
    await using bed = await MemberBed.open();
    await put(bed, "a", "1");
    const status = await bed.call(`${MAINTENANCE}/Status`, [StatusRequest, StatusResponse]);
    assert.match(status.version, /^3\.7\.\d+$/);
    assert.deepEqual(
      [status.leader, status.errors, status.isLearner, status.storageVersion, status.dbSizeQuota],
      [MEMBER_ID, [], false, "3.7.0", 2 ** 31],
    );
    assert.ok(status.dbSize >= status.dbSizeInUse && status.dbSizeInUse > 0);
    assert.equal(status.raftTerm, status.header?.raftTerm);
    assert.ok(status.raftIndex >= status.raftAppliedIndex && status.raftAppliedIndex > 0);
  });

  test("Alarm lists none, one that was raised, and none when disarmed", async () => {
    await using bed = await MemberBed.open();
    const types = [AlarmRequest, AlarmResponse] as const;
    const alarm = (request: object) => bed.call(`${MAINTENANCE}/Alarm`, types, request);
    const corrupt = { memberID: MEMBER_ID, alarm: AlarmType.CORRUPT };
    assert.deepEqual((await alarm({})).alarms, []);
    await alarm({ action: 1, ...corrupt });
    assert.deepEqual((await alarm({})).alarms, [corrupt]);
    assert.deepEqual((await alarm({ alarm: AlarmType.NOSPACE })).alarms, []);
    await alarm({ action: 2, ...corrupt });
    assert.deepEqual((await alarm({})).alarms, []);
  });

  test("a write over the quota raises NOSPACE; reads and deletes go on; disarmed with room, writes do too", async () => {
    await using bed = await MemberBed.open({ quotaBytes: 2 * 1024 * 1024 });
    const write = async () => {
      for (let number = 0; number < 20; number += 1) await put(bed, `k${number}`, Buffer.alloc(400_000));
    };
    await assert.rejects(write(), refusedAs("NoSpace"));
    const types = [AlarmRequest, AlarmResponse] as const;
    const alarms = await bed.call(`${MAINTENANCE}/Alarm`, types);
    assert.deepEqual(alarms.alarms, [{ memberID: MEMBER_ID, alarm: AlarmType.NOSPACE }]);
    await assert.rejects(put(bed, "small", "1"), refusedAs("NoSpace"));
    const status = await bed.call(`${MAINTENANCE}/Status`, [StatusRequest, StatusResponse]);
    assert.deepEqual(status.errors, [`memberID:${MEMBER_ID} alarm:NOSPACE`]);
    assert.ok((await range(bed, { key: text("k0") })).count === 1);
    await bed.call(`${KV}/DeleteRange`, [DeleteRangeRequest, DeleteRangeResponse], {
      key: END,
      rangeEnd: END,
    });
  });

  test("HashKV is the same for the same content", async () => {
    await using one = await MemberBed.open();
    await using other = await MemberBed.open();
    for (const bed of [one, other]) for (const key of ["a", "b", "a"]) await put(bed, key, key);
    const types = [HashKVRequest, HashKVResponse] as const;
    const hashes = await Promise.all(
      [one, other].map((bed) => bed.call(`${MAINTENANCE}/HashKV`, types, { revision: 4 })),
    );
    assert.deepEqual(hashes[0], hashes[1]);
    assert.deepEqual([hashes[0]?.compactRevision, hashes[0]?.hashRevision], [-1, 4]);
  });

  test("Snapshot sends the backend's file and its SHA-256", async () => {
    await using bed = await MemberBed.open();
    await put(bed, "a", Buffer.alloc(100_000, 7));
    const pieces = await bed.stream(`${MAINTENANCE}/Snapshot`, [SnapshotRequest, SnapshotResponse], [{}]);
    const file = Buffer.concat(pieces.slice(0, -1).map(({ blob }) => blob));
    assert.deepEqual(pieces.at(-1)?.blob, createHash("sha256").update(file).digest());
    assert.equal((pieces[0]?.remainingBytes ?? 0) + (pieces[0]?.blob.length ?? 0), file.length);
    assert.equal(pieces.at(-2)?.remainingBytes, 0);
    assert.ok(file.includes(Buffer.alloc(4_000, 7)), "the value is in it");
  });

  test("MoveLeader moves nothing to itself, and refuses another member", async () => {
    await using bed = await MemberBed.open();
    const types = [MoveLeaderRequest, MoveLeaderResponse] as const;
    await bed.call(`${MAINTENANCE}/MoveLeader`, types, { targetID: MEMBER_ID });
    await assert.rejects(bed.call(`${MAINTENANCE}/MoveLeader`, types, { targetID: 5n }), {
      grpcCode: 9,
      message: "etcdserver: bad leader transferee",
    });
  });

  test("MemberList tells this member, with its client URLs once it has published them", async () => {
    await using bed = await MemberBed.open();
    const types = [MemberListRequest, MemberListResponse] as const;
    const list = () => bed.call("etcdserverpb.Cluster/MemberList", types, { linearizable: true });
    let { members } = await list();
    while (members[0]?.clientURLs.length === 0) ({ members } = await list());
    assert.deepEqual(members, [
      {
        ID: MEMBER_ID,
        name: "one",
        peerURLs: ["http://p:2380"],
        clientURLs: ["http://c:2379"],
        isLearner: false,
      },
    ]);
    await assert.rejects(bed.call("etcdserverpb.Cluster/MemberAdd", [MemberAddRequest, MemberAddResponse]), {
      grpcCode: 3,
      message: "etcdserver: given member URLs are invalid",
    });
  });

  test("AuthStatus is off, and Authenticate says so", async () => {
    await using bed = await MemberBed.open();
    const status = await bed.call("etcdserverpb.Auth/AuthStatus", [AuthStatusRequest, AuthStatusResponse]);
    assert.deepEqual([status.enabled, status.authRevision], [false, 1]);
    await assert.rejects(
      bed.call("etcdserverpb.Auth/Authenticate", [AuthenticateRequest, AuthenticateResponse]),
      { grpcCode: 9, message: "etcdserver: authentication is not enabled" },
    );
  });

  test("Health checks the server as a whole, and its Watch tells when it stops", async () => {
    await using bed = await MemberBed.open();
    const types = [HealthCheckRequest, HealthCheckResponse] as const;
    const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;
    assert.equal((await bed.call("grpc.health.v1.Health/Check", types)).status, SERVING);
    await assert.rejects(bed.call("grpc.health.v1.Health/Check", types, { service: "x" }), { grpcCode: 5 });
    const controller = new AbortController();
    const watching = bed.stream("grpc.health.v1.Health/Watch", types, [{}], controller.signal);
    const unknown = bed.stream("grpc.health.v1.Health/Watch", types, [{ service: "x" }], controller.signal);
    await new Promise((resolve) => setImmediate(resolve));
    bed.services.serving.stop();
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    assert.deepEqual(
      (await watching).map(({ status }) => status),
      [SERVING, NOT_SERVING],
    );
    assert.deepEqual((await unknown).map(({ status }) => status).at(0), SERVICE_UNKNOWN);
  });
});
