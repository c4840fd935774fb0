import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeConfChange } from "../../../store/raft/conf-change.ts";
import type { Entry } from "../../../store/raft/types.ts";
import { Wal } from "../../../store/wal/wal.ts";
import { ListState, proposal } from "../../support/list-state.ts";
import { firstEntries } from "../../support/no-peers.ts";
import { FOLDER, put, ReplicaBed } from "./replica-bed.ts";

const [A, B, C] = [0xa1n, 0xb1n, 0xc1n];

const removal = (id: bigint) =>
  encodeConfChange({ transition: "auto", changes: [{ kind: "remove", id }], context: new Uint8Array(0) });

const value = (index: number, term: number, text: string): Entry => ({
  kind: "normal",
  term,
  index,
  data: proposal(BigInt(index), text),
});

test("a forced member keeps all of its log, known to be committed or not, and leads alone", async () => {
  const bed = new ReplicaBed();
  const { wal } = await Wal.open({
    disk: bed.memory.forProcess(),
    folder: FOLDER,
    random: bed.random,
    logger: bed.logger,
    identity: { clusterId: 0xc1n, memberId: A },
    after: { index: 0, term: 0 },
    keep: { entries: 100, bytes: 1024 },
    segmentBytes: 8 * 1024,
  });
  const first = firstEntries([A, B, C]);
  const entries = [...first, value(4, 1, "committed"), value(5, 1, "maybe"), value(6, 2, "maybe too")];
  await wal.append({ hardState: { term: 5, vote: B, commit: 4 }, entries });
  await wal.close();

  const told: number[] = [];
  const replica = await bed.open({
    state: new ListState(),
    force: (unapplied) => {
      told.push(...unapplied.map(({ index }) => index));
      return [removal(B), removal(C)];
    },
  });
  while (replica.status.role !== "leader") {
    bed.clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(told, [1, 2, 3, 4, 5, 6]);
  assert.equal(await put(replica, "new"), "new");
  assert.deepEqual(replica.state.values, ["committed", "maybe", "maybe too", "new"]);
  assert.deepEqual(replica.state.confState.voters, [A]);
  assert.ok(replica.status.term > 5);
  await replica.close();

  // Without the flag, and with nothing but the log.
  await using again = await bed.open({ state: new ListState() });
  await put(again, "newer");
  assert.deepEqual(again.state.values, ["committed", "maybe", "maybe too", "new", "newer"]);
});
