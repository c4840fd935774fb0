import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmResponse,
  AlarmType,
} from "../../../store/proto/gen/rpc.ts";
import { corruptMembers } from "../../../store/server/corrupt-members.ts";
import { eventually } from "../../support/process.ts";
import { damage } from "./damage.ts";
import { type BedMember, MembersBed } from "./members-bed.ts";

const held = (id: number, hash: number) => ({ id: BigInt(id), hash, compactRevision: 1 });

suite("corruption check", () => {
  test("corruptMembers() names those that differ from a quorum of all members, else the whole cluster", () => {
    assert.deepEqual(corruptMembers([held(1, 5)], 3), []);
    assert.deepEqual(corruptMembers([held(1, 5), held(2, 5), held(3, 5)], 3), []);
    assert.deepEqual(corruptMembers([held(1, 5), held(2, 6), held(3, 5)], 3), [2n]);
    assert.deepEqual(corruptMembers([held(1, 6), held(2, 5), held(3, 5)], 3), [1n]);
    assert.deepEqual(corruptMembers([held(1, 5), held(2, 6)], 3), [0n]);
    assert.deepEqual(corruptMembers([held(1, 5), held(2, 6), held(3, 7)], 3), [0n]);
    assert.deepEqual(corruptMembers([held(1, 5), held(2, 6), held(3, 7), held(4, 5), held(5, 5)], 5), [
      2n,
      3n,
    ]);
  });

  for (const role of ["follower", "leader"] as const) {
    test(`a ${role} whose file was damaged is found; then every member refuses, until the alarm is disarmed`, async () => {
      await using bed = await MembersBed.open({ flags: ["--corrupt-check-time=500ms"] });
      const leader = await bed.leader();
      await leader.put("sound", "v");
      await leader.put("k", "v");
      for (const member of bed.members) await member.get("k");
      await eventually(() =>
        assert.ok(leader.logged.includes("members hold the same data"), "it was checked"),
      );
      const [victim] = (await bed.followers()) as [BedMember];
      const { id } = victim;
      await victim.stop();
      await damage(victim, "k");
      await victim.start();
      if (role === "leader") {
        const { signal } = new AbortController();
        await (await bed.leader()).replica.transferLeader(id, { signal });
      }
      const shown = `memberID:${id} alarm:CORRUPT`;
      for (const member of bed.members) {
        await eventually(async () => assert.deepEqual((await member.status()).errors, [shown]));
        const corrupt = { code: 15, details: "etcdserver: corrupt cluster" };
        await assert.rejects(member.get("sound"), corrupt);
        await assert.rejects(member.put("k"), corrupt);
      }
      await victim.stop();
      const rest = await bed.leader();
      await rest.call("Maintenance/Alarm", [AlarmRequest, AlarmResponse], {
        action: AlarmRequest_AlarmAction.DEACTIVATE,
        memberID: id,
        alarm: AlarmType.CORRUPT,
      });
      assert.equal(await rest.get("sound"), "v");
    });
  }
});
