import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ReplicaLimits } from "../../../store/replica/replica-limits.ts";
import { ClusterBed } from "./cluster-bed.ts";
import { put } from "./replica-bed.ts";

/** What is applied is flushed at once, and the WAL is cut in small pieces. */
const SMALL: Partial<ReplicaLimits> = { flushBytes: 1, segmentBytes: 2048 };
const VALUE_BYTES = 200;

/** Two members go on without the third, end and start again; then it comes back. Gives the snapshots it needed. */
async function snapshotsAfterRestart(limits: Partial<ReplicaLimits>): Promise<number> {
  await using bed = await ClusterBed.open({ limits: { ...SMALL, ...limits } });
  const leader = await bed.elected();
  const [away] = bed.followers;
  assert.ok(away !== undefined);
  await bed.result(put(leader.replica, "with all"));
  await bed.settled();
  away.crash();
  for (let i = 0; i < 20; i += 1) await bed.result(put(leader.replica, `${i}`.padEnd(VALUE_BYTES, ".")));
  await bed.settled();
  const rest = bed.running;
  await bed.result(Promise.all(rest.map((member) => member.close())));
  for (const member of rest) {
    await member.start();
    assert.equal(member.state.values.length, 21);
  }
  await away.start();
  await bed.elected();
  assert.equal((await bed.settled()).length, 21);
  return bed.network.snapshots;
}

suite("openReplica(), of one that leads again", () => {
  test("keeps entries that are flushed, for followers that lag", async () => {
    assert.equal(await snapshotsAfterRestart({ keptEntries: 100 }), 0);
  });

  test("keeps no more of them than it is told", async () => {
    assert.equal(await snapshotsAfterRestart({ keptEntries: 10 }), 1);
    assert.equal(await snapshotsAfterRestart({ keptEntries: 100, keptBytes: 10 * VALUE_BYTES }), 1);
  });
});
