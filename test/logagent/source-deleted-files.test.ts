import assert from "node:assert/strict";
import { appendFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { pino } from "pino";
import { audit } from "../../logagent/audit/audit.ts";
import { findPlaces } from "../../logagent/audit/file-places.ts";
import { readAccounts } from "../../logagent/audit/read-accounts.ts";
import { inodesIn } from "../../logagent/checkpoint/inodes-in.ts";
import { DeletedFiles, HELD_WARN_BYTES } from "../../logagent/source/deleted-files.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";

const ERROR = 50;
const LINE = `${"x".repeat(1023)}\n`;
const FILE_BYTES = 256 * LINE.length;

suite("a deleted file that is held for a destination that is away", () => {
  test("counts with the disk it takes up, until all of it is acknowledged", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    const running = await shipping(bed, ["a.log"]);
    const { blocks } = statSync(bed.path("a.log"));
    assert.equal(bed.deletedFiles.heldBytes, 0);
    rmSync(bed.path("a.log"));
    await bed.step(running, 1_000);
    assert.equal(bed.deletedFiles.heldBytes, blocks * 512);
    bed.sink.ack(0, 100);
    await bed.step(running, 1_000);
    assert.equal(bed.deletedFiles.heldBytes, blocks * 512, "a part frees nothing");
    bed.sink.ackAll();
    await bed.step(running, 1_000);
    assert.equal(bed.deletedFiles.heldBytes, 0);
    await bed.stop(running);
  });

  test("is let go when it is the oldest and there is no more room: what was not delivered is in a loss record", async () => {
    await using bed = await SourceBed.open({ heldDeletedBytesMax: 2.5 * FILE_BYTES });
    const running = await shipping(bed, ["a.log", "b.log", "c.log"]);
    bed.sink.closeTopic("t");
    for (const name of ["b.log", "a.log", "c.log"]) {
      appendFileSync(bed.path(name), LINE);
      rmSync(bed.path(name));
      bed.clock.advance(1_000);
      await running.source.poll();
    }
    for (let i = 0; i < 4; i++) {
      bed.clock.advance(1_000);
      await running.source.poll();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(bed.deletedFiles.heldBytes <= 2.5 * FILE_BYTES, `${bed.deletedFiles.heldBytes} bytes are held`);
    const reason = "deleted, and held for longer than there was room";
    assert.deepEqual(
      bed.checkpoints.newestLosses.map((loss) => [loss.path, loss.from, loss.to, loss.reason]).reverse(),
      [
        [bed.path("b.log"), FILE_BYTES, FILE_BYTES + LINE.length, reason],
        [bed.path("b.log"), FILE_BYTES + LINE.length, "unknown", reason],
      ],
    );
    assert.equal(running.context.totals.bytesLost, LINE.length);
    assert.equal(bed.logged.filter(({ msg }) => msg === "bytes are lost").length, 1);
    assert.equal(running.source.openFiles, 2);
    bed.sink.openTopic("t");
    await bed.run(running, 3_000);
    await bed.checkpoints.persisted();
    const written = await readAccounts(join(bed.folder, "checkpoints"));
    const places = await findPlaces(written.checkpoints.records, { look: inodesIn });
    const { problems, totals } = audit(written, { places, hasAgent: true });
    assert.deepEqual(
      [problems, totals.lost, totals.lossesUnknown],
      [[], LINE.length, 1],
      "the audit adds up",
    );
    const last = (name: string) =>
      bed.sink.arrived.filter(({ path }) => path === bed.path(name)).at(-1)?.offset;
    assert.deepEqual(
      [last("a.log"), last("b.log"), last("c.log")],
      [FILE_BYTES, FILE_BYTES - LINE.length, FILE_BYTES],
    );
    await bed.stop(running);
  });

  test("keeps what was delivered of it when it is let go: that may still be acknowledged, and the rest is lost once", async () => {
    await using bed = await SourceBed.open({ autoAck: false, heldDeletedBytesMax: FILE_BYTES / 2 });
    const running = await shipping(bed, ["a.log"]);
    const { id } = [...running.source.files][0]?.record ?? {};
    rmSync(bed.path("a.log"));
    await bed.run(running, 2_000);
    assert.equal(running.source.openFiles, 0);
    const [record] = [...bed.checkpoints.records()];
    assert.equal(record?.id, id, "its record stays for as long as acknowledgements may come");
    assert.equal(record?.offset, 0);
    bed.sink.ackAll();
    assert.equal(record?.account.acked, FILE_BYTES);
    assert.equal(record?.account.seen, record?.account.acked);
    await bed.step(running, 1_000);
    assert.deepEqual([...bed.checkpoints.records()], []);
    assert.deepEqual(
      bed.checkpoints.newestLosses.map(({ to }) => to),
      ["unknown"],
    );
    await bed.stop(running);
  });

  test("is let go when the agent stops, which is said once: with number, bytes and the first path", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    const running = await shipping(bed, ["a.log", "b.log", "c.log"]);
    // Of the three one is acknowledged, another stays.
    bed.sink.ack(0);
    const done = [...bed.checkpoints.records()].find(({ offset }) => offset > 0)?.path;
    const [first = "", last = ""] = ["a.log", "b.log", "c.log"]
      .map(bed.path, bed)
      .filter((path) => path !== done);
    appendFileSync(first, LINE);
    await bed.step(running, 1_000);
    for (const path of [done ?? "", first]) rmSync(path);
    await bed.step(running, 1_000);
    bed.leftFiles.close();
    await bed.stop(running);
    bed.leftFiles.sayAbandoned();
    bed.leftFiles.sayAbandoned();
    const said = bed.logged.filter(({ level }) => level >= ERROR);
    assert.deepEqual(
      said.map(({ files, bytes, first }) => ({ files, bytes, first })),
      [{ files: 1, bytes: FILE_BYTES + LINE.length, first }],
    );
    assert.match(said[0]?.msg ?? "", /^deleted files are let go unshipped because the agent stops/);
    await bed.openCheckpoints();
    const next = bed.start({ path: bed.path("*.log") });
    await bed.run(next, 1_000);
    const [loss] = bed.checkpoints.newestLosses.filter(({ path }) => path === first);
    assert.equal(loss?.reason, "gone while nobody held it", "the next start enters it");
    assert.ok(bed.checkpoints.newestLosses.every(({ path }) => path !== last));
    await bed.stop(next);
  });

  test("is not said to be let go by a stop when all of it is acknowledged, nor when another task goes on with it", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    const running = await shipping(bed, ["a.log", "b.log"]);
    rmSync(bed.path("a.log"));
    await bed.run(running, 1_000);
    await bed.stop(running);
    const next = bed.start({ path: bed.path("*.log"), topic: "u" });
    await bed.step(next);
    bed.sink.ackAll();
    bed.leftFiles.close();
    await bed.stop(next);
    bed.leftFiles.sayAbandoned();
    assert.deepEqual(
      bed.logged.filter(({ level }) => level >= ERROR),
      [],
    );
  });

  test("lets its successor at the path have its turn when it is let go", async () => {
    await using bed = await SourceBed.open({ heldDeletedBytesMax: FILE_BYTES / 2 });
    const running = await shipping(bed, ["a.log"]);
    bed.sink.closeTopic("t");
    appendFileSync(bed.path("a.log"), LINE);
    renameSync(bed.path("a.log"), bed.path("gone"));
    writeFileSync(bed.path("a.log"), "next\n");
    rmSync(bed.path("gone"));
    for (let i = 0; i < 6; i++) {
      bed.clock.advance(1_000);
      await running.source.poll();
      await new Promise((resolve) => setImmediate(resolve));
    }
    bed.sink.openTopic("t");
    await bed.run(running, 3_000);
    assert.equal(bed.sink.lines().at(-1), "next");
    await bed.stop(running);
  });
});

suite("DeletedFiles", () => {
  test("warns from 1 GiB, again when it has doubled, and anew after it was much less", () => {
    const logged: { heldBytes: number; oldest: string }[] = [];
    const deleted = new DeletedFiles({
      logger: pino({ base: null }, { write: (line) => void logged.push(JSON.parse(line)) }),
    });
    const file = { key: "1:1", heldDeletedBytes: 0, record: { path: "/var/log/a" } };
    const other = { key: "1:2", heldDeletedBytes: HELD_WARN_BYTES / 4, record: { path: "/var/log/b" } };
    const hold = (bytes: number) => {
      file.heldDeletedBytes = bytes;
      deleted.note(file);
    };
    hold(HELD_WARN_BYTES - 1);
    assert.equal(logged.length, 0);
    for (const more of [0, 1, 2, 3]) hold(HELD_WARN_BYTES + more);
    deleted.note(other);
    assert.deepEqual(
      logged.map(({ oldest }) => oldest),
      ["/var/log/a"],
    );
    hold(5 * HELD_WARN_BYTES);
    hold(6 * HELD_WARN_BYTES);
    assert.equal(logged.length, 2, "once for all that it has doubled");
    hold(8 * HELD_WARN_BYTES);
    assert.equal(logged.length, 3);
    hold(0);
    hold(HELD_WARN_BYTES);
    assert.equal(logged.length, 4);
    deleted.forget(file);
    deleted.forget(other);
    deleted.forget(other);
    assert.equal(deleted.heldBytes, 0);
  });
});

/** A source that has shipped these files, a quarter of a MiB each. */
async function shipping(bed: SourceBed, names: readonly string[]): Promise<Running> {
  for (const name of names) writeFileSync(bed.path(name), LINE.repeat(FILE_BYTES / LINE.length));
  const running = bed.start({ path: bed.path("*.log") });
  await bed.step(running);
  return running;
}
