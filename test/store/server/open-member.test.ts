import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CodedError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import type { BootstrapPlan } from "../../../store/membership/bootstrap-plan.ts";
import { unstarted } from "../../../store/membership/types.ts";
import { PutRequest } from "../../../store/proto/gen/rpc.ts";
import { type OpenedMember, openMember } from "../../../store/server/open-member.ts";
import { encodeRaftRequest } from "../../../store/server/raft-request.ts";
import { temporaryFolder } from "../../support/process.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { CLUSTER_ID, loneMember, MEMBER_ID } from "./lone-member.ts";

function open(dataFolder: string): Promise<OpenedMember> {
  return openMember({ ...loneMember(dataFolder), random: systemRandom });
}

/** A data folder, closed, in which this many keys were put. */
async function filledFolder(count: number): Promise<string> {
  const folder = temporaryFolder("member");
  await using member = await open(folder);
  const { replica } = member;
  for (let i = 0; i < count; i += 1) {
    const request = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(`k${i}`) })).finish();
    const id = replica.nextRequestId();
    await replica.propose(id, encodeRaftRequest("put", id, request), { signal: AbortSignal.timeout(10_000) });
  }
  return folder;
}

test("openMember() refuses the backend of another member of the same ids beside its log", async () => {
  const [own, other] = [await filledFolder(5), await filledFolder(4)];
  cpSync(join(other, "member/db"), join(own, "member/db"));
  rmSync(join(own, "member/db-lock"));
  await assert.rejects(open(own), {
    code: "EWALMISMATCH",
    message: /is of log [0-9a-f]+, the backend belongs to log [0-9a-f]+$/,
  });
});

test("openMember() makes a lost backend anew from a log that is whole, and keeps it to that log", async () => {
  const folder = await filledFolder(5);
  rmSync(join(folder, "member/db"));
  rmSync(join(folder, "member/db-lock"));
  for (const _ of ["anew", "again"]) {
    await using member = await open(folder);
    assert.equal(member.replica.state.revision, 6);
  }
  const other = await filledFolder(9);
  rmSync(join(folder, "member/wal"), { recursive: true });
  cpSync(join(other, "member/wal"), join(folder, "member/wal"), { recursive: true });
  await assert.rejects(open(folder), { code: "EWALMISMATCH" });
});

const OTHER_ID = 7n;
const JOIN: BootstrapPlan = {
  kind: "join",
  clusterId: CLUSTER_ID,
  memberId: MEMBER_ID,
  members: [unstarted(OTHER_ID, ["http://127.0.0.1:9"]), unstarted(MEMBER_ID, ["http://p:2380"])],
};

/** Opens one that joins a cluster, and closes it; gives whom it knows, and what its plan was asked. */
async function openJoining(
  dataFolder: string,
  whenJoining: () => BootstrapPlan = () => JOIN,
  lone = loneMember(dataFolder),
): Promise<{ readonly known: readonly bigint[]; readonly asked: readonly boolean[] }> {
  const asked: boolean[] = [];
  await using member = await openMember({
    ...lone,
    bootstrap: { ...lone.bootstrap, isNew: false },
    plan: async (hasData) => {
      asked.push(hasData);
      return hasData ? { kind: "restart" } : whenJoining();
    },
    random: systemRandom,
  });
  assert.equal(member.replica.memberId, MEMBER_ID);
  assert.equal(member.replica.clusterId, CLUSTER_ID);
  return { known: [...member.transport.counters().keys()], asked };
}

test("openMember() asks anew for the others when it joined and was sent nothing", async () => {
  const folder = temporaryFolder("join");
  const expected = { known: [OTHER_ID], asked: [false] };
  assert.deepEqual(await openJoining(folder), expected);
  assert.deepEqual(await openJoining(folder), expected);
});

test("openMember() that joined and was sent nothing starts too when nobody answers, and says so", async () => {
  const folder = temporaryFolder("join");
  await openJoining(folder);
  const { log, lines } = recordedLog();
  const nobody = () => {
    throw new CodedError("EBOOTSTRAP", "nobody is there");
  };
  const found = await openJoining(folder, nobody, { ...loneMember(folder), logger: log });
  assert.deepEqual(found, { known: [], asked: [false, true] });
  assert.ok(
    lines.some(({ msg, reason }) => reason === "nobody is there" && /waiting to hear/.test(`${msg}`)),
  );
  // The first time it is an error: there is nothing to start with.
  await assert.rejects(openJoining(temporaryFolder("join"), nobody), { code: "EBOOTSTRAP" });
});
