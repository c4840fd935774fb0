import assert from "node:assert/strict";
import { test } from "node:test";
import { memberId } from "../../../store/membership/member-id.ts";
import { unstarted } from "../../../store/membership/types.ts";
import { StoreError } from "../../../store/proto/errors.ts";
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
} from "../../../store/proto/gen/rpc.ts";
import type { Handler } from "../../../store/server/service.ts";
import { CLUSTER, ClusterBed, started } from "./cluster-bed.ts";

interface Codec<Message> {
  encode(message: Message): { finish(): Buffer };
  decode(bytes: Uint8Array): Message;
  fromPartial(fields: object): Message;
}

async function call<Request, Response>(
  table: ReadonlyMap<string, Handler>,
  method: string,
  [request, response]: readonly [Codec<Request>, Codec<Response>],
  fields: object,
): Promise<Response> {
  const handler = table.get(`/etcdserverpb.Cluster/${method}`);
  assert.ok(handler?.kind === "unary");
  const context = { metadata: new Map<string, string>(), signal: new AbortController().signal, peer: "test" };
  return response.decode(await handler.call(request.encode(request.fromPartial(fields)).finish(), context));
}

const ADD = [MemberAddRequest, MemberAddResponse] as const;
const REMOVE = [MemberRemoveRequest, MemberRemoveResponse] as const;
const UPDATE = [MemberUpdateRequest, MemberUpdateResponse] as const;
const PROMOTE = [MemberPromoteRequest, MemberPromoteResponse] as const;
const LIST = [MemberListRequest, MemberListResponse] as const;

const three = () => new ClusterBed([started(1n), started(2n), started(3n)]);
const unhealthy = { code: "Unhealthy", message: "etcdserver: unhealthy cluster" };
const notEnough = {
  code: "MemberNotEnoughStarted",
  message: "etcdserver: re-configuration failed due to not enough started members",
};

test("MemberAdd answers with the new member and the whole list, under a header without a revision", async () => {
  const bed = three();
  const before = Math.floor(Date.now() / 1_000);
  const peerURLs = [" http://new:2382", "http://new:2380"];
  const { header, member, members } = await call(bed.table(), "MemberAdd", ADD, { peerURLs });
  assert.deepEqual(header, { clusterId: CLUSTER, memberId: 1n, revision: 0, raftTerm: 7 });
  const urls = ["http://new:2380", "http://new:2382"];
  assert.deepEqual(member?.peerURLs, urls);
  assert.ok([0, 1, 2].some((late) => member?.ID === memberId(urls, "", before + late)));
  assert.deepEqual(member, { ID: member?.ID, name: "", peerURLs: urls, clientURLs: [], isLearner: false });
  assert.deepEqual(members.map(({ name }) => name).sort(), ["", "m1", "m2", "m3"]);
  assert.deepEqual(bed.proposed, [`1 addVoter ${member?.ID}`]);
});

test("MemberAdd refuses URLs that are none", async () => {
  for (const peerURLs of [[], ["new:2380"], ["http://new"], ["http://new:2380/x"], ["ftp://new:1"], [""]]) {
    await assert.rejects(call(three().table(), "MemberAdd", ADD, { peerURLs }), {
      code: "MemberBadURLs",
      message: "etcdserver: given member URLs are invalid",
    });
  }
});

test("MemberAdd refuses URLs that a member has, and more learners than there may be", async () => {
  await assert.rejects(call(three().table(), "MemberAdd", ADD, { peerURLs: ["http://m2:2380"] }), {
    message: "etcdserver: Peer URLs already exists",
  });
  const bed = new ClusterBed([started(1n), started(2n), started(3n), started(4n, true)]);
  const learner = { peerURLs: ["http://new:2380"], isLearner: true };
  await assert.rejects(call(bed.table(), "MemberAdd", ADD, learner), {
    message: "etcdserver: too many learner members in cluster",
  });
  const { member } = await call(bed.table({ learnersMax: 2 }), "MemberAdd", ADD, learner);
  assert.equal(member?.isLearner, true);
});

test("MemberAdd refuses a voter while too few have started, unless the check is off", async () => {
  const bed = new ClusterBed([started(1n), unstarted(2n, ["http://m2:2380"])]);
  const fields = { peerURLs: ["http://new:2380"] };
  await assert.rejects(call(bed.table(), "MemberAdd", ADD, fields), notEnough);
  assert.deepEqual(bed.proposed, []);
  await call(bed.table({ isStrict: false }), "MemberAdd", ADD, fields);
  assert.equal(bed.proposed.length, 1);
});

test("MemberAdd counts the new member as one that is away: three of which one is down do not grow", async () => {
  const bed = three();
  const fields = { peerURLs: ["http://new:2380"] };
  bed.connected.delete(3n);
  await assert.rejects(call(bed.table(), "MemberAdd", ADD, fields), unhealthy);
  await assert.rejects(call(bed.table(), "MemberAdd", ADD, { ...fields, isLearner: true }), unhealthy);
  bed.connected.add(3n);
  await call(bed.table(), "MemberAdd", ADD, fields);
});

test("MemberAdd lets a sole member grow", async () => {
  const bed = new ClusterBed([started(1n)]);
  const { members } = await call(bed.table(), "MemberAdd", ADD, { peerURLs: ["http://new:2380"] });
  assert.equal(members.length, 2);
});

test("MemberRemove removes a member that is away, and one that is there while the others are a quorum", async () => {
  const bed = three();
  bed.connected.delete(3n);
  const { header, members } = await call(bed.table(), "MemberRemove", REMOVE, { ID: 3n });
  assert.equal(header?.revision, 0);
  assert.deepEqual(
    members.map(({ ID }) => ID),
    [1n, 2n],
  );
  await call(three().table(), "MemberRemove", REMOVE, { ID: 1n });
});

test("MemberRemove refuses what would lose the quorum, and does not ask that of a learner", async () => {
  const bed = three();
  bed.connected.delete(3n);
  await assert.rejects(call(bed.table(), "MemberRemove", REMOVE, { ID: 2n }), unhealthy);
  const half = new ClusterBed([
    started(1n),
    started(2n),
    unstarted(3n, ["http://m3:2380"]),
    started(4n, true),
  ]);
  await assert.rejects(call(half.table(), "MemberRemove", REMOVE, { ID: 2n }), notEnough);
  await call(half.table(), "MemberRemove", REMOVE, { ID: 4n });
});

test("MemberRemove refuses the last member, with the check and without it", async () => {
  for (const isStrict of [true, false]) {
    const bed = new ClusterBed([started(1n)]);
    await assert.rejects(call(bed.table({ isStrict }), "MemberRemove", REMOVE, { ID: 1n }), notEnough);
    assert.equal(bed.bed.state.members.length, 1);
  }
});

test("MemberRemove and MemberUpdate refuse a member that is not there, and one that was", async () => {
  const bed = three();
  const notFound = { code: "MemberNotFound", message: "etcdserver: member not found" };
  await assert.rejects(call(bed.table(), "MemberRemove", REMOVE, { ID: 9n }), notFound);
  const fields = { ID: 9n, peerURLs: ["http://new:2380"] };
  await assert.rejects(call(bed.table(), "MemberUpdate", UPDATE, fields), notFound);
  await call(bed.table(), "MemberRemove", REMOVE, { ID: 3n });
  await assert.rejects(call(bed.table(), "MemberRemove", REMOVE, { ID: 3n }), notFound);
});

test("MemberUpdate changes the peer URLs of a member", async () => {
  const bed = three();
  const peerURLs = ["http://elsewhere:2380"];
  const { members } = await call(bed.table(), "MemberUpdate", UPDATE, { ID: 2n, peerURLs });
  assert.deepEqual(members[1]?.peerURLs, peerURLs);
  assert.deepEqual(bed.proposed, ["1 update 2"]);
  const bad = call(bed.table(), "MemberUpdate", UPDATE, { ID: 2n, peerURLs: ["elsewhere"] });
  await assert.rejects(bad, { code: "MemberBadURLs" });
});

test("MemberPromote waits for a learner to hold 90 % of the leader's log", async () => {
  const bed = new ClusterBed([started(1n), started(2n), started(3n), started(4n, true)]);
  bed.matches({ 1: 100, 2: 100, 3: 100, 4: 89 });
  await assert.rejects(call(bed.table(), "MemberPromote", PROMOTE, { ID: 4n }), {
    message: "etcdserver: can only promote a learner member which is in sync with leader",
  });
  bed.matches({ 1: 100, 2: 100, 3: 100, 4: 90 });
  const { members } = await call(bed.table(), "MemberPromote", PROMOTE, { ID: 4n });
  assert.equal(members[3]?.isLearner, false);
});

test("MemberPromote refuses a voter, somebody unknown, and what too few members have started for", async () => {
  const bed = three();
  bed.matches({ 1: 10, 2: 10, 3: 10 });
  await assert.rejects(call(bed.table(), "MemberPromote", PROMOTE, { ID: 2n }), {
    message: "etcdserver: can only promote a learner member",
  });
  await assert.rejects(call(bed.table(), "MemberPromote", PROMOTE, { ID: 9n }), {
    message: "etcdserver: member not found",
  });
  const few = new ClusterBed([
    started(1n),
    unstarted(2n, ["http://m2:2380"]),
    unstarted(3n, ["http://m3:2380"]),
    started(4n, true),
  ]);
  few.matches({ 1: 10, 4: 10 });
  await assert.rejects(call(few.table(), "MemberPromote", PROMOTE, { ID: 4n }), notEnough);
});

test("MemberPromote of a member that does not lead is the leader's to answer", async () => {
  const bed = new ClusterBed([started(1n), started(2n), started(4n, true)]);
  bed.leader = 2n;
  const asked: bigint[] = [];
  bed.promoteAtLeader = async (id) => {
    asked.push(id);
    const members = [{ ID: 4n, name: "", peerURLs: [], clientURLs: [], isLearner: false }];
    return MemberPromoteResponse.encode({ header: undefined, members }).finish();
  };
  const { header, members } = await call(bed.table(), "MemberPromote", PROMOTE, { ID: 4n });
  assert.deepEqual([asked, header?.memberId, members.length], [[4n], 1n, 1]);
  bed.promoteAtLeader = () => Promise.reject(new StoreError("LearnerNotReady"));
  await assert.rejects(call(bed.table(), "MemberPromote", PROMOTE, { ID: 4n }), { code: "LearnerNotReady" });
});

test("MemberList asks for a read index only when it is to be linearizable", async () => {
  const bed = three();
  const local = await call(bed.table(), "MemberList", LIST, {});
  assert.deepEqual([local.members.length, bed.reads], [3, 0]);
  await call(bed.table(), "MemberList", LIST, { linearizable: true });
  assert.equal(bed.reads, 1);
});
