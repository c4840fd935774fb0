import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import { readSnapshotMeta } from "../../../store/apply/snapshot-meta.ts";
import { readLogId, writeLogId } from "../../../store/backend/log-id.ts";
import { MemFile } from "../../../store/backend/mem-backend.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { entry } from "../wal/wal-bed.ts";
import { foreignSnapshot, inChunks, SNAP, startMember, stateOf, writeState } from "./snap-bed.ts";

const OWN = { index: 5, term: 1 };
const SENT = { index: 100, term: 2 };
const HARD_STATE = { term: 3, vote: 9n, commit: 100 };

/** How far a member came with a snapshot before the power went. */
type Step = "nothing" | "received" | "log started over" | "installed" | "went on";

test("a snapshot is received, the log started over, the state installed: a crash at any operation leaves a member that opens", async () => {
  const ends = new Map<string, number>();
  const steps = new Map<Step, number>();
  for (let operations = 0; operations <= 60; operations += 1) {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { step, found } = await live(operations, seed);
      steps.set(step, (steps.get(step) ?? 0) + 1);
      const end = `${step}: ${found}`;
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
  }
  // The test is worth something only if the power went everywhere.
  assert.equal(steps.size, 5, JSON.stringify([...steps]));
  // The power may go when the new segment has its name and nobody knows yet.
  for (const end of ["received: own", "received: sent", "log started over: sent"]) {
    assert.ok((ends.get(end) ?? 0) > 0, `${end}, of ${JSON.stringify([...ends])}`);
  }
});

async function live(
  operations: number,
  seed: number,
): Promise<{ readonly step: Step; readonly found: string }> {
  const name = `power gone after ${operations} operations, seed ${seed}`;
  const disk = new MemoryDisk();
  const file = new MemFile();
  const sent = await foreignSnapshot(new MemoryDisk(), SENT, "sent");
  const first = await startMember(disk.forProcess(), file);
  const { logId } = first.opened;
  for (let i = 1; i <= 12; i += 1) {
    await first.opened.wal.append({
      hardState: { term: 1, vote: 1n, commit: i },
      entries: [entry(i, 1, "x".repeat(600))],
    });
  }
  writeLogId(first.backend, logId);
  await writeState(first.backend, OWN, "own");
  disk.powerOffAfter(operations);
  let step: Step = "nothing";
  try {
    const path = await first.snapshots.receive(sent.meta, inChunks(sent.content));
    step = "received";
    await first.opened.wal.reset({ to: SENT, hardState: HARD_STATE });
    step = "log started over";
    await first.backend.install(path);
    step = "installed";
    writeLogId(first.backend, logId);
    await first.snapshots.removeUpTo(SENT.index);
    await first.opened.wal.append({ hardState: undefined, entries: [entry(101, 3)] });
    step = "went on";
  } catch (error) {
    assert.ok(disk.isPowerOff, `${name}: ${error}`);
  }
  first.backend.crash();
  disk.crash({ random: seededRandom(operations * 100 + seed) });

  const second = await startMember(disk.forProcess(), file);
  const found = stateOf(second.backend);
  assert.deepEqual(await disk.list(SNAP), [], name);
  assert.equal(readLogId(second.backend) ?? logId, logId, name);
  if (found === "own") {
    assert.ok(step === "nothing" || step === "received", `${name}: own state after ${step}`);
    assert.equal(second.opened.entries.length, 12 - OWN.index, name);
    assert.equal(second.opened.hardState.commit, 12, name);
  } else {
    assert.equal(found, "sent", name);
    assert.deepEqual(readSnapshotMeta(second.backend), sent.meta, name);
    assert.deepEqual(second.opened.hardState, HARD_STATE, name);
    assert.deepEqual(second.opened.compacted, SENT, name);
    if (step === "went on") assert.equal(second.opened.entries.length, 1, name);
  }
  const next = (second.opened.entries.at(-1)?.index ?? second.opened.compacted.index) + 1;
  await second.opened.wal.append({ hardState: undefined, entries: [entry(next, 3)] });
  await second.opened.wal.close();
  await second.backend.close();
  const third = await startMember(disk.forProcess(), file);
  assert.equal(third.opened.entries.at(-1)?.index, next, name);
  await third.opened.wal.close();
  return { step, found };
}
