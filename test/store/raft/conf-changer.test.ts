import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { SingleChange } from "../../../store/raft/conf-change.ts";
import { enterJoint, leaveJoint, restoreConfig, simpleChange } from "../../../store/raft/conf-changer.ts";
import { emptyTrackerState, ProgressTracker, type TrackerState } from "../../../store/raft/tracker.ts";
import type { ConfState } from "../../../store/raft/types.ts";
import { parseChanges } from "./scripts/changes.ts";
import { describeConfig, describeProgressMap } from "./scripts/describe.ts";

const FRESH = { lastIndex: 10, inflights: { messages: 10, bytes: Number.MAX_SAFE_INTEGER } };
const CONF_STATE = { votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

const baseOf = (configuration: TrackerState) => ({ ...configuration, fresh: FRESH });
const oneByOne = (configuration: TrackerState, changes: readonly SingleChange[]) =>
  changes.reduce((now, change) => simpleChange(baseOf(now), [change]), configuration);
const made = (changes: string) => oneByOne(emptyTrackerState(), parseChanges(changes));
const describe = ({ config, progress }: TrackerState) =>
  `${describeConfig(config)}\n${describeProgressMap(progress)}`;
const refusal = (message: string) => ({ name: "CodedError", code: "ECONFCHANGE", message });

// Voter 1 is there from the start and stays: a simple change cannot take the last voter away.
const someSetup = fc.array(
  fc.bigInt(1n, 5n).map((id): SingleChange => ({ kind: "addVoter", id })),
  { maxLength: 5 },
);
const someChanges = fc.array(
  fc.record({
    kind: fc.constantFrom("addVoter", "addLearner", "remove", "update"),
    id: fc.bigInt(2n, 10n),
  }),
  { minLength: 1, maxLength: 9 },
);

suite("changes of the configuration", () => {
  test("a new member counts as heard of and is probed with the last entry", () => {
    const { progress } = made("v1 l2");
    for (const [id, isLearner] of [
      [1n, false],
      [2n, true],
    ] as const) {
      const { match, next, state, recentActive, isLearner: role } = progress.get(id) ?? assert.fail();
      assert.deepEqual([match, next, state, recentActive, role], [0, 10, "probe", true, isLearner]);
    }
    const first = { ...emptyTrackerState(), fresh: { ...FRESH, lastIndex: 0 } };
    assert.equal(simpleChange(first, parseChanges("v1")).progress.get(1n)?.next, 1);
  });

  test("simpleChange() keeps the records of who stays, and follows roles", () => {
    const before = made("v1 v2 v3");
    const kept = before.progress.get(2n) ?? assert.fail();
    kept.maybeUpdate(7);
    const after = simpleChange(baseOf(before), parseChanges("l2"));
    const demoted = after.progress.get(2n) ?? assert.fail();
    assert.deepEqual([demoted.isLearner, demoted.match], [true, 7]);
    assert.equal(after.progress.get(1n), before.progress.get(1n));
    assert.deepEqual([kept.isLearner, describeConfig(before.config)], [false, "voters=(1 2 3)"]);
    const promoted = simpleChange(baseOf(after), parseChanges("v2")).progress.get(2n);
    assert.deepEqual([promoted?.isLearner, promoted?.match], [false, 7]);
  });

  test("simpleChange() passes over changes of member 0, which was blanked out", () => {
    assert.equal(describe(oneByOne(made("v1"), parseChanges("r0 v0 l0"))), describe(made("v1")));
  });

  test("a change that does not fit throws ECONFCHANGE, and leaves its base as it was", () => {
    const one = made("v1 l2");
    const joint = enterJoint(baseOf(one), { autoLeave: false }, parseChanges("v3 r1"));
    const before = [describe(one), describe(joint)];
    const nobody = baseOf(emptyTrackerState());
    for (const [attempt, message] of [
      [() => simpleChange(baseOf(one), parseChanges("r1")), "removed all voters"],
      [
        () => simpleChange(baseOf(one), parseChanges("v2 v3")),
        "more than one voter changed without entering joint config",
      ],
      [
        () => simpleChange(baseOf(joint), parseChanges("v4")),
        "can't apply simple config change in joint config",
      ],
      [() => enterJoint(baseOf(joint), { autoLeave: false }, []), "config is already joint"],
      [
        () => enterJoint(nobody, { autoLeave: false }, parseChanges("v1")),
        "can't make a zero-voter config joint",
      ],
      [() => enterJoint(baseOf(one), { autoLeave: true }, parseChanges("l1")), "removed all voters"],
      [() => leaveJoint(one), "can't leave a non-joint config"],
    ] as const)
      assert.throws(attempt, refusal(message));
    assert.deepEqual([describe(one), describe(joint)], before);
  });

  test("records that do not fit the configuration are refused", () => {
    const { config, progress } = made("v1 v2 l3");
    const [voter, learner] = [progress.get(2n) ?? assert.fail(), progress.get(3n) ?? assert.fail()];
    const attempt = (changed: Partial<typeof config>, records = progress) =>
      simpleChange({ config: { ...config, ...changed }, progress: records, fresh: FRESH }, []);
    const joint = { incoming: new Set([1n]), outgoing: new Set([1n, 2n]) };
    for (const [broken, message] of [
      [() => attempt({}, new Map([[1n, voter]])), "no progress for 2"],
      [
        () => attempt({}, new Map([...progress, [3n, voter]])),
        "3 is in Learners, but is not marked as learner",
      ],
      [() => attempt({ learners: new Set([1n]) }), "1 is in Learners and Voters[0]"],
      [() => attempt({ voters: joint, learners: new Set([2n]) }), "2 is in Learners and Voters[1]"],
      [() => attempt({ learnersNext: new Set([2n]) }), "2 is in LearnersNext, but not Voters[1]"],
      [
        () => attempt({ voters: joint, learnersNext: new Set([2n]) }, new Map([...progress, [2n, learner]])),
        "2 is in LearnersNext, but is already marked as learner",
      ],
      [() => attempt({ autoLeave: true }), "AutoLeave must be false when not joint"],
    ] as const)
      assert.throws(broken, refusal(message));
  });

  test("enterJoint() and leaveJoint() arrive where simple steps do", () => {
    fc.assert(
      fc.property(someSetup, someChanges, (setup, changes) => {
        const start = oneByOne(made("v1"), setup);
        const joint = enterJoint(baseOf(start), { autoLeave: false }, changes);
        const leaving = enterJoint(baseOf(start), { autoLeave: true }, changes);
        assert.deepEqual({ ...leaving.config, autoLeave: false }, joint.config);
        assert.deepEqual(joint.config.voters.outgoing, start.config.voters.incoming);
        const wanted = describe(oneByOne(start, changes));
        assert.equal(describe(leaveJoint(joint)), wanted);
        assert.equal(describe(leaveJoint(leaving)), wanted);
      }),
      { seed: 15, numRuns: 1000 },
    );
  });

  test("any two majorities that decide before and after a step have a member in common", () => {
    fc.assert(
      fc.property(someSetup, someChanges, (setup, changes) => {
        const start = oneByOne(made("v1"), setup);
        const joint = enterJoint(baseOf(start), { autoLeave: false }, changes);
        assertOverlap(start, joint);
        assertOverlap(joint, leaveJoint(joint));
        for (const change of changes) assertOverlap(start, simpleChange(baseOf(start), [change]));
      }),
      { seed: 16, numRuns: 100 },
    );
  });

  test("restoreConfig() gives a configuration whose confState is the one it got", () => {
    const restored = (confState: ConfState) =>
      new ProgressTracker(restoreConfig(confState, FRESH)).confState();
    for (const confState of [
      { ...CONF_STATE, voters: [] },
      { ...CONF_STATE, voters: [1n, 2n, 3n] },
      { ...CONF_STATE, voters: [1n, 2n, 3n], learners: [4n, 5n, 6n] },
      {
        voters: [1n, 2n, 3n],
        learners: [5n],
        votersOutgoing: [1n, 2n, 4n, 6n],
        learnersNext: [4n],
        autoLeave: true,
      },
    ])
      assert.deepEqual(restored(confState), confState);
    fc.assert(
      fc.property(someConfState, (confState) => assert.deepEqual(restored(confState), confState)),
      { seed: 17, numRuns: 1000 },
    );
  });

  test("restoreConfig() with an automatic leave of a configuration that is not joint does not leave", () => {
    const restored = restoreConfig({ ...CONF_STATE, voters: [1n], autoLeave: true }, FRESH);
    assert.equal(restored.config.autoLeave, false);
  });
});

/** Voters, learners and removed voters have nobody in common; some incoming voters were outgoing ones. */
const someConfState: fc.Arbitrary<ConfState> = fc
  .record({
    ids: fc.uniqueArray(fc.bigInt(1n, 40n), { minLength: 13, maxLength: 13 }),
    voters: fc.integer({ min: 1, max: 5 }),
    learners: fc.nat(5),
    removed: fc.nat(3),
    retained: fc.nat(5),
    next: fc.nat(3),
    autoLeave: fc.boolean(),
  })
  .map(({ ids, voters, learners, removed, retained, next, autoLeave }) => {
    const outgoing = [...ids.slice(0, Math.min(retained, voters)), ...ids.slice(10, 10 + removed)];
    return {
      voters: ascending(ids.slice(0, voters)),
      learners: ascending(ids.slice(5, 5 + learners)),
      votersOutgoing: ascending(outgoing),
      learnersNext: ascending(ids.slice(10, 10 + Math.min(next, removed))),
      autoLeave: autoLeave && outgoing.length > 0,
    };
  });

function ascending(ids: readonly bigint[]): bigint[] {
  return [...ids].sort((a, b) => (a < b ? -1 : 1));
}

/** No two disjoint sets of members decide, one in each configuration: whoever is in neither set helps neither. */
function assertOverlap(before: TrackerState, after: TrackerState): void {
  const ids = [...new Set([...before.progress.keys(), ...after.progress.keys()])];
  for (let bits = 0; bits < 2 ** ids.length; bits += 1) {
    const some = new Set(ids.filter((_, i) => bits & (1 << i)));
    const others = new Set(ids).difference(some);
    assert.ok(
      !(decides(before, some) && decides(after, others)),
      `${describeConfig(before.config)} by ${[...some]}, ${describeConfig(after.config)} by ${[...others]}`,
    );
  }
}

function decides({ config }: TrackerState, ids: ReadonlySet<bigint>): boolean {
  const { incoming, outgoing } = config.voters;
  return [incoming, outgoing].every((half) => half.size === 0 || half.intersection(ids).size * 2 > half.size);
}
