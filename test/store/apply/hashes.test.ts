import assert from "node:assert/strict";
import { test } from "node:test";
import { runAtOnce } from "../../../base/steps.ts";
import { AlarmRequest } from "../../../store/proto/gen/rpc.ts";
import { hashOf, StateBed } from "./state-bed.ts";

/** Puts enough that a walk over the records takes several steps. */
function fill(bed: StateBed, puts = 1_500): void {
  for (let i = 0; i < puts; i += 1) bed.put(`k${i % 10}`, `${i}`);
}

function compactAll(bed: StateBed, revision: number): void {
  bed.compact(revision);
  while (bed.state.compactStep());
}

const wholeHash = (bed: StateBed) => runAtOnce(bed.state.hash());

test("StateMachine.compactionHashes are what hashKv() gave before each compaction, in steps, whatever is written meanwhile", () => {
  const bed = new StateBed();
  fill(bed);
  assert.deepEqual(bed.state.compactionHashes, []);
  const expected = [];
  let steps = 0;
  for (const revision of [700, 1_200, bed.state.revision]) {
    expected.push(hashOf(bed.opened, revision));
    bed.compact(revision);
    for (; bed.state.compactStep(); steps += 1) bed.put(`k${steps}`, "meanwhile");
  }
  assert.ok(steps > 4, `${steps} steps`);
  assert.deepEqual(bed.state.compactionHashes, expected);
  assert.deepEqual(
    expected.map(({ compactRevision, hashRevision }) => [compactRevision, hashRevision]),
    [
      [-1, 700],
      [700, 1_200],
      [1_200, 1_501],
    ],
  );
});

test("StateMachine.compactionHashes are the newest ten", () => {
  const bed = new StateBed();
  fill(bed, 20);
  for (let revision = 2; revision < 20; revision += 1) compactAll(bed, revision);
  assert.deepEqual(
    bed.state.compactionHashes.map(({ hashRevision }) => hashRevision),
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  );
});

test("StateMachine.compactionHashes lack a compaction that a restart interrupted, and have the next one", async () => {
  const bed = new StateBed();
  fill(bed);
  bed.compact(1_000);
  for (let i = 0; i < 2; i += 1) assert.ok(bed.state.compactStep());
  await bed.state.flush();
  bed.crashAndReplay();
  while (bed.state.compactStep());
  assert.deepEqual(bed.state.compactionHashes, []);
  const expected = hashOf(bed.opened, 1_200);
  assert.equal(expected.compactRevision, 1_000);
  compactAll(bed, 1_200);
  assert.deepEqual(bed.state.compactionHashes, [expected]);
});

test("StateMachine.compactionHashes of a compaction that waited for another name the one that was carried out before", () => {
  const bed = new StateBed();
  fill(bed);
  const hashes = new Map([400, 900].map((revision) => [revision, hashOf(bed.opened, revision).hash]));
  bed.compact(400);
  assert.ok(bed.state.compactStep());
  bed.compact(600);
  bed.compact(900);
  while (bed.state.compactStep());
  const [first, second] = bed.state.compactionHashes;
  assert.deepEqual(first, { hash: hashes.get(400), compactRevision: -1, hashRevision: 400 });
  assert.deepEqual([second?.compactRevision, second?.hashRevision], [400, 900]);
  const other = new StateBed();
  fill(other);
  compactAll(other, 400);
  compactAll(other, 900);
  assert.deepEqual(other.state.compactionHashes[1], second);
});

test("StateMachine.hash() is the same however far the file and a compaction are", async () => {
  const [one, other] = [new StateBed(), new StateBed()];
  for (const bed of [one, other]) {
    bed.grant(7n, 60);
    fill(bed);
    bed.compact(700);
  }
  assert.ok(one.state.compactStep());
  await one.state.flush();
  one.crashAndReplay();
  assert.equal(wholeHash(one), wholeHash(other));
  while (other.state.compactStep());
  assert.equal(wholeHash(one), wholeHash(other));
});

test("StateMachine.hash() tells a key, a lease, an alarm and a compaction apart", () => {
  const bed = new StateBed();
  fill(bed, 5);
  const seen = new Set([wholeHash(bed)]);
  const changes = [
    () => bed.put("k", "v"),
    () => bed.grant(7n, 60),
    () => bed.grant(8n, 60),
    () => bed.apply({ $case: "alarm", value: AlarmRequest.create({ action: 1, memberID: 3n, alarm: 1 }) }),
    () => bed.compact(2),
  ];
  for (const [index, change] of changes.entries()) {
    change();
    seen.add(wholeHash(bed));
    assert.equal(seen.size, index + 2, `change ${index}`);
  }
});

test("StateMachine.hash() comes in steps over many leases", () => {
  const bed = new StateBed();
  for (let id = 1n; id <= 2_000n; id += 1n) bed.grant(id, 60);
  const steps = bed.state.hash();
  let yields = 0;
  for (; steps.next().done !== true; yields += 1);
  assert.ok(yields >= 4, `${yields}`);
});
