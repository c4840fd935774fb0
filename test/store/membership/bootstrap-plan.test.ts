import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrapEntries } from "../../../store/membership/bootstrap-entries.ts";
import { type BootstrapConfig, bootstrapPlan } from "../../../store/membership/bootstrap-plan.ts";
import { clusterId, memberId } from "../../../store/membership/member-id.ts";
import type { RemoteCluster } from "../../../store/membership/remote-cluster.ts";
import { type Member, unstarted } from "../../../store/membership/types.ts";

const TOKEN = "token";
const THREE = new Map([
  ["a", ["http://a:2380"]],
  ["b", ["http://b:2380", "http://b:2381"]],
  ["c", ["http://c:2380"]],
]);
const a: BootstrapConfig = {
  name: "a",
  advertisePeerUrls: ["http://a:2380"],
  initialCluster: THREE,
  clusterToken: TOKEN,
  isNew: true,
  learnersMax: 1,
};

interface World {
  /** What the member at a URL answers; others are not there. */
  readonly clusters?: Readonly<Record<string, RemoteCluster>>;
  readonly addresses?: Readonly<Record<string, string>>;
  readonly asked?: string[];
}

function ports({ clusters = {}, addresses = {}, asked = [] }: World) {
  const { signal } = new AbortController();
  return {
    signal,
    fetchMembers: async (url: string, { timeoutMs }: { readonly timeoutMs: number }) => {
      asked.push(`${url} ${timeoutMs}`);
      return clusters[url] ?? Promise.reject(new Error("connection refused"));
    },
    lookup: async (host: string) =>
      addresses[host] ?? Promise.reject(new Error(`lookup ${host}: no such host`)),
  };
}

function plan(config: Partial<BootstrapConfig>, world: World = {}, hasData = false) {
  return bootstrapPlan({ ...a, ...config }, hasData, ports(world));
}

function refused(what: string, config: Partial<BootstrapConfig>, message: string, world: World = {}) {
  test(`bootstrapPlan() refuses ${what}`, () =>
    assert.rejects(plan(config, world), (error: Error & { code?: string }) => {
      assert.equal(error.message, message);
      assert.equal(error.code, "EBOOTSTRAP");
      return true;
    }));
}

/** The cluster as it runs: with ids of its own, and in another order. */
const running: RemoteCluster = {
  clusterId: 0xc1n,
  members: [
    { ...unstarted(0xbn, ["http://b:2381", "http://b:2380"]), name: "b", clientUrls: ["http://b:2379"] },
    { ...unstarted(0xan, ["http://a:2380"]), name: "" },
    { ...unstarted(0xcn, ["http://c:2380"], true), name: "c", clientUrls: ["http://c:2379"] },
  ],
};

test("bootstrapPlan() of a new cluster gives every member the same ids, members and entries", async () => {
  const asA = await plan({});
  const asB = await plan({ name: "b", advertisePeerUrls: ["http://b:2381", "http://b:2380"] });
  assert.ok(asA.kind === "new" && asB.kind === "new");
  assert.equal(asA.memberId, memberId(["http://a:2380"], TOKEN));
  assert.equal(asB.memberId, memberId(["http://b:2380", "http://b:2381"], TOKEN));
  assert.deepEqual({ ...asA, memberId: 0n }, { ...asB, memberId: 0n });
  assert.equal(asA.clusterId, clusterId(asA.members.map(({ id }) => id)));
  assert.deepEqual(asA.members.map(({ name }) => name).sort(), ["a", "b", "c"]);
  assert.deepEqual(
    asA.members.map(({ id }) => id),
    asA.members.map(({ id }) => id).sort((x, y) => (x < y ? -1 : 1)),
  );
  assert.deepEqual(asA.entries, bootstrapEntries(asA.members));
});

test("bootstrapPlan() gives another cluster id for another token", async () => {
  const [one, other] = [await plan({}), await plan({ clusterToken: "other" })];
  assert.ok(one.kind === "new" && other.kind === "new");
  assert.notEqual(one.clusterId, other.clusterId);
});

test("bootstrapPlan() asks the others a second long each whether this member ran before", async () => {
  const asked: string[] = [];
  await plan({}, { asked });
  assert.deepEqual(asked, ["http://b:2380 1000", "http://b:2381 1000", "http://c:2380 1000"]);
});

test("bootstrapPlan() does not look at the flags of a member with data", async () => {
  const asked: string[] = [];
  assert.deepEqual(await plan({ name: "nobody" }, { asked }, true), { kind: "restart" });
  assert.deepEqual(await plan({ isNew: false }, { asked }, true), { kind: "restart" });
  assert.deepEqual(asked, []);
});

test("bootstrapPlan() takes host names for the addresses that they stand for", async () => {
  const { kind } = await plan(
    { advertisePeerUrls: ["http://10.0.0.1:2380"] },
    { addresses: { a: "10.0.0.1" } },
  );
  assert.equal(kind, "new");
});

test("bootstrapPlan() takes one spelling of an IPv6 address for another", async () => {
  const { kind } = await plan({
    initialCluster: new Map([["a", ["http://[fd00:0:0::1]:2380"]]]),
    advertisePeerUrls: ["http://[fd00::1]:2380"],
  });
  assert.equal(kind, "new");
});

const NOT_LISTED = `couldn't find local name "x" in the initial cluster configuration`;
refused("a new cluster without this member", { name: "x" }, NOT_LISTED);
refused("to join a cluster without this member", { name: "x", isNew: false }, NOT_LISTED);
refused(
  "URLs that it does not advertise",
  { name: "b", advertisePeerUrls: ["http://b:2380"] },
  '--initial-cluster has b=http://b:2381 but missing from --initial-advertise-peer-urls=http://b:2380 (len(["http://b:2380"]) != len(["http://b:2380" "http://b:2381"]))',
);
refused(
  "a URL that resolves to another address",
  { advertisePeerUrls: ["http://z:2380"] },
  '--initial-cluster has a=http://a:2380 but missing from --initial-advertise-peer-urls=http://z:2380 (resolved urls: "http://10.0.0.9:2380" != "http://10.0.0.1:2380")',
  { addresses: { a: "10.0.0.1", z: "10.0.0.9" } },
);
refused(
  "a URL that does not resolve",
  { advertisePeerUrls: ["http://z:2380"] },
  '--initial-cluster has a=http://a:2380 but missing from --initial-advertise-peer-urls=http://z:2380 (failed to resolve "http://z:2380" (lookup z: no such host))',
  { addresses: { a: "10.0.0.1" } },
);
refused(
  "advertised URLs that are not listed",
  { advertisePeerUrls: ["http://a:2380", "http://a:2381"] },
  "--initial-advertise-peer-urls has http://a:2381 but missing from --initial-cluster=a=http://a:2380,a=http://a:2381",
);
refused(
  "two members with one URL",
  { initialCluster: new Map([...THREE, ["d", ["http://c:2380"]]]) },
  "initial cluster a=http://a:2380,b=http://b:2380,b=http://b:2381,c=http://c:2380,d=http://c:2380 has duplicate url",
);
{
  const own = memberId(["http://a:2380"], TOKEN);
  const known = (clientUrls: readonly string[]): World => ({
    clusters: {
      "http://c:2380": { clusterId: 1n, members: [{ ...unstarted(own, ["http://a:2380"]), clientUrls }] },
    },
  });
  refused(
    "to begin anew as a member that has run, and lost its data",
    {},
    `member ${own.toString(16)} has already been bootstrapped`,
    known(["http://a:2379"]),
  );
  test("bootstrapPlan() begins when the others run already and this one never did", async () => {
    assert.equal((await plan({}, known([]))).kind, "new");
  });
}

test("bootstrapPlan() of a member that joins takes the ids of the cluster, by peer URLs", async () => {
  const asked: string[] = [];
  const joined = await plan({ isNew: false }, { clusters: { "http://c:2380": running }, asked });
  assert.deepEqual(joined, {
    kind: "join",
    clusterId: 0xc1n,
    memberId: 0xan,
    members: [running.members[1], running.members[0], running.members[2]],
  });
  assert.deepEqual(asked, ["http://b:2380 10000", "http://b:2381 10000", "http://c:2380 10000"]);
});

const JOIN = { isNew: false };
refused(
  "to join where nobody answers",
  JOIN,
  "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs",
);
refused(
  "to join a cluster that knows no members",
  JOIN,
  "cannot fetch cluster info from peer urls: failed to get raft cluster member(s) from the given URLs",
  { clusters: { "http://b:2380": { clusterId: 1n, members: [] } } },
);
refused(
  "to join a cluster that has not been told of it",
  JOIN,
  "error validating peerURLs {ClusterID:c1 Members:[&{ID:b RaftAttributes:{PeerURLs:[http://b:2381 http://b:2380] IsLearner:false} Attributes:{Name:b ClientURLs:[http://b:2379]}}] RemovedMemberIDs:[]}: member count is unequal",
  { clusters: { "http://b:2380": { clusterId: 0xc1n, members: running.members.slice(0, 1) } } },
);
{
  const elsewhere: Member[] = running.members.map((member) =>
    member.id === 0xan ? { ...member, peerUrls: ["http://10.0.0.1:9"] } : member,
  );
  refused(
    "to join a cluster that knows it by another URL",
    JOIN,
    'error validating peerURLs {ClusterID:c1 Members:[&{ID:a RaftAttributes:{PeerURLs:[http://10.0.0.1:9] IsLearner:false} Attributes:{Name: ClientURLs:[]}} &{ID:b RaftAttributes:{PeerURLs:[http://b:2381 http://b:2380] IsLearner:false} Attributes:{Name:b ClientURLs:[http://b:2379]}} &{ID:c RaftAttributes:{PeerURLs:[http://c:2380] IsLearner:true} Attributes:{Name:c ClientURLs:[http://c:2379]}}] RemovedMemberIDs:[]}: PeerURLs: no match found for existing member (a, [http://10.0.0.1:9]), last resolver error (resolved urls: "http://10.0.0.1:9" != "http://10.0.0.1:2380")',
    {
      clusters: { "http://b:2380": { clusterId: 0xc1n, members: elsewhere } },
      addresses: { a: "10.0.0.1", b: "10.0.0.2", c: "10.0.0.3" },
    },
  );
}
refused(
  "to join a cluster with more learners than it may have",
  { ...JOIN, learnersMax: 0 },
  "membership: too many learner members in cluster",
  { clusters: { "http://b:2380": running } },
);
{
  const started = running.members.map((one) => ({
    ...one,
    clientUrls: [`http://${one.id.toString(16)}:2379`],
  }));
  refused(
    "to join under the name and the URLs of a member that has run",
    JOIN,
    "member a has already been bootstrapped",
    { clusters: { "http://b:2380": { ...running, members: started } } },
  );
}

test("bootstrapPlan() ends with its signal", async () => {
  const controller = new AbortController();
  const waiting = bootstrapPlan({ ...a, ...JOIN }, false, {
    ...ports({}),
    signal: controller.signal,
    fetchMembers: (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  });
  controller.abort(new Error("stop"));
  await assert.rejects(waiting, /^Error: stop$/);
});
