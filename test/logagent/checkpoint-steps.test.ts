import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { pino } from "pino";
import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { nodeDisk } from "../../base/node-disk.ts";
import { seededRandom } from "../../base/random.ts";
import { runAtOnce } from "../../base/steps.ts";
import { newAccount, newRemovedSums } from "../../logagent/checkpoint/account.ts";
import { decodeCheckpoints, encodeInSteps, snapshotOf } from "../../logagent/checkpoint/checkpoint-codec.ts";
import {
  CHECKPOINT_BYTES_PER_SECOND_MAX,
  CHECKPOINT_INTERVAL_MAX_MS,
  CHECKPOINT_INTERVAL_MS,
  CheckpointPace,
  NEW_ID_BYTES_PER_SECOND_MAX,
} from "../../logagent/checkpoint/checkpoint-pace.ts";
import { CheckpointStore } from "../../logagent/checkpoint/checkpoint-store.ts";
import { inodesIn } from "../../logagent/checkpoint/inodes-in.ts";
import { readNewest } from "../../logagent/checkpoint/read-newest.ts";
import { type CheckpointRecord, NO_BYTES } from "../../logagent/checkpoint/record.ts";
import { ManualClock } from "../support/manual-clock.ts";

const FILES = 2_000;
const SIZE = 100;

function record(file: number): CheckpointRecord {
  return { id: `${file}`, ...fields(file), account: newAccount(SIZE, 0) };
}

function fields(file: number): Omit<CheckpointRecord, "id" | "account"> {
  return {
    dev: 1n,
    ino: BigInt(file),
    birthtimeNs: 5n,
    path: `/var/log/${file}.log`,
    entry: "/var/log/*.log",
    topic: "t",
    fingerprint: { length: SIZE, hash: "0123456789abcdef" },
    offset: 0,
    tail: NO_BYTES,
    seen: SIZE,
    seenAtMs: 0,
  };
}

/** All of a file is acknowledged, as its ledger does it. */
function ackAll(one: CheckpointRecord): void {
  one.account.acked += SIZE - one.offset;
  one.offset = SIZE;
}

const contentOf = (records: Iterable<CheckpointRecord>) => ({
  records,
  entries: new Map<string, number>(),
  removed: newRemovedSums(),
  losses: 0,
  isClosed: false,
});

suite("encodeInSteps()", () => {
  test("gives what one go gives, and yields between bounded steps", () => {
    const steps = encodeInSteps(snapshotOf(contentOf(Array.from({ length: FILES }, (_, i) => record(i)))));
    let turns = 0;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) turns += 1;
    assert.ok(turns >= 8, `${turns} turns`);
    const decoded = decodeCheckpoints(Buffer.concat(step.value), "test");
    assert.deepEqual(
      decoded.records.map(({ id }) => Number(id)),
      Array.from({ length: FILES }, (_, i) => i),
    );
  });

  test("of a snapshot shows one moment, whatever changes between the steps", () => {
    const records = Array.from({ length: FILES }, (_, i) => record(i));
    const content = contentOf(records);
    const steps = encodeInSteps(snapshotOf(content));
    steps.next();
    for (const one of records) ackAll(one);
    content.removed.files += 1;
    const decoded = decodeCheckpoints(Buffer.concat(runAtOnce(steps)), "test");
    assert.ok(decoded.records.every(({ offset, account }) => offset === 0 && account.acked === 0));
    assert.equal(decoded.removed.files, 0);
  });
});

suite("CheckpointPace", () => {
  test("lets small checkpoints be written each second, and large ones within its bytes a second", async () => {
    const clock = new ManualClock();
    const pace = new CheckpointPace(clock);
    pace.wrote(1_000);
    assert.equal(pace.intervalMs, CHECKPOINT_INTERVAL_MS);
    await pace.rest({ signal: new AbortController().signal });
    pace.wrote(5 * CHECKPOINT_BYTES_PER_SECOND_MAX);
    assert.equal(pace.intervalMs, 5_000);
    pace.wrote(1_000 * CHECKPOINT_BYTES_PER_SECOND_MAX);
    assert.equal(pace.intervalMs, CHECKPOINT_INTERVAL_MAX_MS);
  });

  test("rest() keeps writes for new ids apart, and ends with its signal", async () => {
    const clock = new ManualClock();
    const pace = new CheckpointPace(clock);
    pace.wrote(NEW_ID_BYTES_PER_SECOND_MAX);
    let hasRested = false;
    const resting = pace.rest({ signal: new AbortController().signal }).then(() => {
      hasRested = true;
    });
    clock.advance(999);
    await Promise.resolve();
    assert.ok(!hasRested);
    clock.advance(1);
    await resting;
    pace.wrote(NEW_ID_BYTES_PER_SECOND_MAX);
    await pace.rest({ signal: AbortSignal.abort() });
  });
});

suite("CheckpointStore with thousands of records", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "logagent-checkpoints-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const open = (options: { readonly clock?: Clock; readonly disk?: Disk } = {}) =>
    CheckpointStore.open({
      folder,
      disk: options.disk ?? nodeDisk,
      folders: { look: inodesIn },
      clock: options.clock ?? new ManualClock(),
      random: seededRandom(1),
      logger: pino({ enabled: false }),
    });

  test("leaves the event loop to others while it encodes, and what it writes then is of one moment", async () => {
    let turns = 0;
    let turnsUntilWritten = 0;
    const rename = (from: string, to: string) => {
      turnsUntilWritten ||= turns;
      return nodeDisk.rename(from, to);
    };
    const store = await open({ clock: new HurriedClock(), disk: { ...nodeDisk, rename } });
    const records = Array.from({ length: FILES }, (_, file) => store.mint(fields(file)));
    // Something happens to all files whenever others have their turn.
    const loop = () => {
      turns += 1;
      for (const one of records) one.seenAtMs = turns;
      if (turnsUntilWritten === 0) setImmediate(loop);
    };
    setImmediate(loop);
    await store.durable(records[0] as CheckpointRecord);
    const { content } = await readNewest({ folder, disk: nodeDisk, logger: pino({ enabled: false }) });
    assert.equal(content.records.length, FILES);
    assert.equal(new Set(content.records.map(({ seenAtMs }) => seenAtMs)).size, 1, "one moment");
    assert.ok(turnsUntilWritten > 4, `${turnsUntilWritten} turns`);
    await store.close();
  });

  test("durable() waits for a first fingerprint that came while the record's id was being written", async () => {
    const gate = Promise.withResolvers<void>();
    let syncs = 0;
    const slow: Disk = {
      ...nodeDisk,
      rename: async (from, to) => {
        syncs += 1;
        if (syncs === 1) await gate.promise;
        await nodeDisk.rename(from, to);
      },
    };
    const store = await open({ disk: slow });
    const one = store.mint({ ...fields(1), fingerprint: NO_BYTES });
    const written = store.durable(one);
    while (syncs === 0) await new Promise((resolve) => setImmediate(resolve));
    store.setFingerprint(one, { length: SIZE, hash: "fedcba9876543210" });
    gate.resolve();
    await written;
    await store.durable(one);
    const { content } = await readNewest({ folder, disk: nodeDisk, logger: pino({ enabled: false }) });
    assert.equal(content.records[0]?.fingerprint.length, SIZE);
    await store.close();
  });
});

/** Each look at it finds so much time gone that nobody may go on in the same turn. */
class HurriedClock extends ManualClock {
  override monotonicMs(): number {
    this.advance(20);
    return super.monotonicMs();
  }
}
