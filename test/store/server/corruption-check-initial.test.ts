import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { runAtOnce } from "../../../base/steps.ts";
import type { KvHash } from "../../../store/apply/types.ts";
import { StoreError } from "../../../store/proto/errors.ts";
import { HashKVRequest, HashKVResponse } from "../../../store/proto/gen/rpc.ts";
import { idText } from "../../../store/raft/id-text.ts";
import { checkInitialCorruption } from "../../../store/server/corruption-check-initial.ts";
import { StateBed } from "../apply/state-bed.ts";
import { started } from "./cluster-bed.ts";
import { damage } from "./damage.ts";
import { type BedMember, MembersBed } from "./members-bed.ts";

/** Of a member 1n, to which 2n and 3n answer. */
async function check(answers: Readonly<Record<string, (own: KvHash) => Partial<KvHash>>>): Promise<string[]> {
  const bed = new StateBed();
  bed.put("a");
  const own = bed.hash();
  const logged: string[] = [];
  await checkInitialCorruption({
    memberId: 1n,
    state: { members: [1n, 2n, 3n].map((id) => started(id)), hashKv: (at) => bed.state.hashKv(at) },
    run: async (steps) => runAtOnce(steps),
    callMember: async ({ peerUrls: [url = ""] }, { body }) => {
      assert.equal(HashKVRequest.decode(body).revision, 2);
      const answer = answers[url] ?? assert.fail(url);
      return HashKVResponse.encode({ header: undefined, ...own, ...answer(own) }).finish();
    },
    logger: pino({ base: null }, { write: (line) => void logged.push(JSON.parse(line).msg) }),
  });
  return logged;
}

const SAME = () => ({});

test("checkInitialCorruption() passes where the others hold the same, are behind, or compacted elsewhere", async () => {
  assert.deepEqual(await check({ "http://m2:2380": SAME, "http://m3:2380": SAME }), [
    "starting initial corruption check",
    "initial corruption checking passed; no corruption",
  ]);
  const behind = () => {
    throw new StoreError("FutureRev");
  };
  const compacted = ({ hash }: KvHash) => ({ hash: hash + 1, compactRevision: 2 });
  assert.deepEqual(await check({ "http://m2:2380": behind, "http://m3:2380": compacted }), [
    "starting initial corruption check",
    "cannot compare the hash of a member",
    "found different compact revision values from remote peer",
    "initial corruption checking passed; no corruption",
  ]);
});

test("checkInitialCorruption() names revision, hashes and every member that holds something else", async () => {
  await assert.rejects(
    check({ "http://m2:2380": () => ({ hash: 5 }), "http://m3:2380": () => ({ hash: 6 }) }),
    {
      code: "ECORRUPT",
      message:
        /^1 found data inconsistency with peers: at revision 2, compacted at -1, its hash is \d+, and member 2 \(m2, http:\/\/m2:2380\) has 5, member 3 \(m3, http:\/\/m3:2380\) has 6$/,
    },
  );
});

test("a member whose file was damaged does not start, and does when the file is as it was", async () => {
  await using bed = await MembersBed.open({ flags: ["--feature-gates=InitialCorruptCheck=true"] });
  const leader = await bed.leader();
  await leader.put("k", "v");
  for (const member of bed.members) await member.get("k");
  const [victim] = (await bed.followers()) as [BedMember];
  const member = idText(victim.id);
  assert.ok(!victim.logged.includes("starting initial corruption check"), "there was nothing to compare");
  await victim.stop();
  await damage(victim, "k");
  await assert.rejects(victim.start(), (error: unknown) => {
    assert.ok(error instanceof Error && "code" in error && error.code === "ECORRUPT", String(error));
    assert.ok(error.message.startsWith(`${member} found data inconsistency with peers: at revision 2,`));
    assert.ok(error.message.includes(`member ${idText(leader.id)} (${leader.name}, `), error.message);
    return true;
  });
  assert.equal(await damage(victim, "k", "v"), "damaged");
  await victim.start();
  assert.ok(victim.logged.includes("initial corruption checking passed; no corruption"));
  await bed.leader();
  assert.equal(await victim.get("k"), "v");
  await Promise.all(bed.members.map((one) => one.stop()));
  await Promise.all(bed.members.map((one) => one.start()));
  assert.equal(await (await bed.leader()).get("k"), "v", "all of them start with nobody to compare with");
});
