import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { ensureRaftScripts } from "../../../deploy/parts.js";
import { replay } from "./interaction/replay.ts";

/** Scripts about what our core does not have, each with a line that says so. */
const NOT_EXPRESSIBLE: Readonly<Record<string, { readonly reason: string; readonly line: string }>> = {
  "forget_leader.txt": {
    reason:
      "a follower cannot be told to forget its leader: the core has no ForgetLeader, nobody here needs it",
    line: "forget-leader 2",
  },
  "forget_leader_prevote_checkquorum.txt": {
    reason:
      "a follower cannot be told to forget its leader: the core has no ForgetLeader, nobody here needs it",
    line: "forget-leader 2",
  },
  "forget_leader_read_only_lease_based.txt": {
    reason:
      "ForgetLeader under reads by lease: the core has neither, its reads ask a quorum and trust no clock",
    line: "add-nodes 3 voters=(1,2,3) index=10 checkquorum=true read-only=lease-based",
  },
};
const SCRIPTS = 28;

const folder = path.join(await ensureRaftScripts(), "testdata");
const all = readdirSync(folder);
const replayed = all.filter((name) => !Object.hasOwn(NOT_EXPRESSIBLE, name));

suite("Raft agrees with etcd-io/raft's interaction scripts", () => {
  for (const name of replayed) {
    test(`Raft prints what etcd-io/raft prints in ${name}`, () => replay(path.join(folder, name)));
  }

  test("every script is replayed, or listed with the command that cannot be expressed", () => {
    assert.equal(all.length, SCRIPTS);
    assert.equal(replayed.length + Object.keys(NOT_EXPRESSIBLE).length, SCRIPTS);
    for (const [name, { line }] of Object.entries(NOT_EXPRESSIBLE)) {
      const lines = readFileSync(path.join(folder, name), "utf8").split("\n");
      assert.ok(lines.includes(line), `${name} has the line "${line}"`);
    }
  });
});
