import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemRandom } from "../../../base/random.ts";
import { PutRequest } from "../../../store/proto/gen/rpc.ts";
import { type OpenedMember, openMember } from "../../../store/server/open-member.ts";
import { encodeRaftRequest } from "../../../store/server/raft-request.ts";
import { temporaryFolder } from "../../support/process.ts";
import { loneMember } from "./lone-member.ts";

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
