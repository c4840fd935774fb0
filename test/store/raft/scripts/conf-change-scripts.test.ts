import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { CodedError } from "../../../../base/errors.ts";
import { ensureRaftScripts } from "../../../../deploy/parts.js";
import type { SingleChange } from "../../../../store/raft/conf-change.ts";
import { enterJoint, leaveJoint, simpleChange } from "../../../../store/raft/conf-changer.ts";
import { emptyTrackerState, type TrackerState } from "../../../../store/raft/tracker.ts";
import { argValues, type Directive, runScript } from "../../../support/data-driven.ts";
import { parseChanges } from "./changes.ts";
import { describeConfig, describeProgressMap } from "./describe.ts";

const SCRIPTS = [
  "joint_autoleave.txt",
  "joint_idempotency.txt",
  "joint_learners_next.txt",
  "joint_safety.txt",
  "simple_idempotency.txt",
  "simple_promote_demote.txt",
  "simple_safety.txt",
  "update.txt",
  "zero.txt",
];

suite("etcd-io/raft's scripts of confchange", async () => {
  const folder = path.join(await ensureRaftScripts(), "confchange", "testdata");

  test("are all here", () => assert.deepEqual(readdirSync(folder).sort(), SCRIPTS));

  for (const script of SCRIPTS) {
    test(`simpleChange(), enterJoint() and leaveJoint() answer as in ${script}`, () => {
      let configuration = emptyTrackerState();
      let lastIndex = 0;
      runScript(path.join(folder, script), (directive) => {
        try {
          configuration = changed(configuration, directive, lastIndex);
          return `${describeConfig(configuration.config)}\n${describeProgressMap(configuration.progress)}`;
        } catch (error) {
          if (!(error instanceof CodedError)) throw error;
          assert.equal(error.code, "ECONFCHANGE");
          return error.message;
        } finally {
          lastIndex += 1;
        }
      });
    });
  }
});

function changed(configuration: TrackerState, directive: Directive, lastIndex: number): TrackerState {
  const base = {
    ...configuration,
    fresh: { lastIndex, inflights: { messages: 10, bytes: Number.MAX_SAFE_INTEGER } },
  };
  const changes: SingleChange[] = parseChanges(directive.input);
  const { command } = directive;
  if (command === "simple") return simpleChange(base, changes);
  if (command === "enter-joint")
    return enterJoint(base, { autoLeave: argValues(directive, "autoleave")?.[0] === "true" }, changes);
  assert.equal(command, "leave-joint");
  assert.deepEqual(changes, []);
  return leaveJoint(base);
}
