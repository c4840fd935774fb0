import assert from "node:assert/strict";
import { test } from "node:test";
import { MembersBed } from "./members-bed.ts";

test("members serve writes and linearizable reads, whichever is asked, and go on when the leader is parted from them", async () => {
  await using bed = await MembersBed.open();
  for (const { name } of bed.members) {
    const member = bed.members.find((one) => one.name === name);
    await member?.put(name, "here");
  }
  for (const reader of bed.members) {
    for (const { name } of bed.members) assert.equal(await reader.get(name), "here");
  }
  const old = await bed.leader();
  bed.part(old);
  const leader = await bed.leader();
  assert.notEqual(leader, old);
  await leader.put("after", "the change");
  assert.equal(await old.get("after", { serializable: true }), undefined);
  bed.heal();
  assert.equal(await old.get("after"), "the change");
});
