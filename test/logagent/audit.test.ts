import assert from "node:assert/strict";
import { appendFileSync, renameSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { entrySchema } from "../../conf/collect-config.ts";
import { type Audit, audit } from "../../logagent/audit/audit.ts";
import { auditText } from "../../logagent/audit/audit-text.ts";
import { findPlaces } from "../../logagent/audit/file-places.ts";
import { readAccounts, type WrittenAccounts } from "../../logagent/audit/read-accounts.ts";
import { inodesIn } from "../../logagent/checkpoint/inodes-in.ts";
import type { JournaledLoss } from "../../logagent/checkpoint/loss-line.ts";
import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import { SourceContext } from "../../logagent/source/source-context.ts";
import { TailSource } from "../../logagent/source/tail-source.ts";
import { SourceBed } from "../support/source-bed.ts";

const accountsOf = (bed: SourceBed) => readAccounts(join(bed.folder, "checkpoints"));

async function audited(written: WrittenAccounts, hasAgent = true): Promise<Audit> {
  return audit(written, {
    places: await findPlaces(written.checkpoints.records, { look: inodesIn }),
    hasAgent,
  });
}

async function auditOf(bed: SourceBed, hasAgent = true): Promise<Audit> {
  await bed.checkpoints.persisted();
  return audited(await accountsOf(bed), hasAgent);
}

/** 12 bytes acknowledged, 6 lost with a truncation, 4 of the new content held. */
async function truncatedFile(): Promise<SourceBed> {
  const bed = await SourceBed.open();
  const file = bed.path("a.log");
  writeFileSync(file, "one 1\ntwo 2\n");
  const running = bed.start({ path: bed.path("*.log"), exclude: ["two"] });
  await bed.step(running);
  appendFileSync(file, "part 1");
  await bed.step(running, 250);
  truncateSync(file, 0);
  appendFileSync(file, "new\n");
  bed.sink.autoAck = false;
  await bed.step(running, 250);
  await bed.step(running, 250);
  await bed.stop(running);
  return bed;
}

suite("audit()", () => {
  test("adds up over growth, dropped lines, a truncation, and bytes in flight", async () => {
    await using bed = await truncatedFile();
    const { rows, totals, problems, removed, unaccounted } = await auditOf(bed);
    assert.deepEqual(problems, []);
    const { seen, acked, held, lost, lossesUnknown, linesDropped, files } = totals;
    assert.deepEqual(
      { seen, acked, held, lost, lossesUnknown, linesDropped, files },
      { seen: 22, acked: 12, held: 4, lost: 6, lossesUnknown: 1, linesDropped: 1, files: 2 },
    );
    assert.deepEqual(unaccounted, { records: 0, bytes: 0, unknown: 0 });
    assert.equal(rows.length + removed.files, 2);
    const current = rows.at(-1);
    assert.deepEqual([current?.state, current?.size, current?.held], ["at its path", 4, 4]);
  });

  test("says which files moved, are gone, or ship no more", async () => {
    await using bed = await SourceBed.open();
    for (const name of ["a.log", "b.log", "c.log"]) writeFileSync(bed.path(name), "line\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    await bed.stop(running);
    await bed.checkpoints.persisted();
    renameSync(bed.path("b.log"), bed.path("b.log.1"));
    unlinkSync(bed.path("c.log"));
    const { rows, problems } = await auditOf(bed);
    assert.deepEqual(
      rows.map(({ state, size, acked }) => [state, size, acked]),
      [
        ["at its path", 5, 5],
        ["moved", 5, 5],
        ["gone", undefined, 5],
      ],
    );
    assert.deepEqual(problems, []);
  });

  test("does not add up with bytes that nobody holds of a file that is gone, until a start enters them", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "line 1\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    await bed.stop(running);
    assert.deepEqual((await auditOf(bed, false)).problems, []);
    unlinkSync(bed.path("a.log"));
    assert.deepEqual((await auditOf(bed, true)).problems, []);
    const { problems } = await auditOf(bed, false);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? "",
      /a\.log \(\w+\): 7 bytes are held by nobody: no agent runs, and the file is gone; the next start/,
    );
    const again = bed.start({ path: bed.path("*.log") });
    await bed.run(again, 12_000);
    await bed.stop(again);
    const after = await auditOf(bed, false);
    assert.deepEqual([after.problems, after.totals.lost], [[], 7]);
  });

  test("does not add up with bytes that nobody holds of a content that was replaced", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "line 1\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    truncateSync(bed.path("a.log"), 0);
    appendFileSync(bed.path("a.log"), "new\n");
    await bed.run(running, 500);
    await bed.stop(running);
    assert.deepEqual((await auditOf(bed, true)).problems, []);
    const { problems } = await auditOf(bed, false);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? "",
      /7 bytes are held by nobody: no agent runs, and its content was replaced; the next start of the agent enters them as lost$/,
    );
    const again = bed.start({ path: bed.path("*.log") });
    await bed.run(again, 12_000);
    await bed.stop(again);
    const after = await auditOf(bed, false);
    assert.deepEqual([after.problems, after.totals.lost], [[], 7]);
  });

  test("takes a compressed file that nobody saw before for what is in it, not for a file cut short", async () => {
    await using bed = await SourceBed.open();
    bed.clock.wallMs = Date.now;
    writeFileSync(bed.path("a.log"), "1\n");
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    renameSync(bed.path("a.log"), bed.path("a.log.2"));
    await sleep(30);
    writeFileSync(bed.path("a.log.1.gz"), gzipSync("2\n".repeat(10_000)));
    writeFileSync(bed.path("a.log"), "3\n");
    await bed.run(running, 10_000);
    await bed.stop(running);
    const { rows, problems } = await auditOf(bed);
    assert.deepEqual(rows.map(({ state, size, acked }) => [state, size, acked]).sort(), [
      ["at its path", 2, 2],
      ["compressed", undefined, 20_000],
      ["moved", 2, 2],
    ]);
    assert.deepEqual(problems, []);
  });

  test("counts from where reading began", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "old\nold\n");
    const running = bed.start({ path: bed.path("a.log"), from: "end" });
    await bed.step(running);
    appendFileSync(bed.path("a.log"), "new\n");
    await bed.run(running, 1000);
    await bed.stop(running);
    const { rows, problems } = await auditOf(bed);
    const { size, seen, read, framed, acked } = rows[0] ?? {};
    assert.deepEqual(
      { size, seen, read, framed, acked },
      { size: 12, seen: 4, read: 4, framed: 4, acked: 4 },
    );
    assert.deepEqual(problems, []);
  });

  test("prints a table with totals", async () => {
    await using bed = await truncatedFile();
    const text = auditText(await auditOf(bed));
    const lines = text.trimEnd().split("\n");
    assert.match(
      lines[0] ?? "",
      /^PATH +ID +SIZE +SEEN +READ +FRAMED +ACKED +HELD +LOST +UNKNOWN +DROPPED +TRUNCATED +REFUSED +STATE$/,
    );
    assert.match(lines.at(-1) ?? "", /^total of 2 +- +22 +\d+ +\d+ +12 +4 +6 +1 +1 +0 +0$/);
  });

  test("shows apart what was truncated, and what the dead letters keep", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), `${"x".repeat(3_000)}\nrefused\n`);
    const entry = entrySchema.parse({
      path: bed.path("a.log"),
      topic: "t",
      longLines: "truncate",
      maxLineBytes: 1024,
    });
    bed.sink.deliver = async ({ file, spans }) => {
      file.acked(spans.from, 3_001, 1);
      file.rejected(3_001, spans.to, 1, "too long");
    };
    bed.claims.add(entry.path);
    const context = new SourceContext(entry, bed.deps);
    const running = { context, source: new TailSource(context) };
    await bed.step(running);
    await bed.checkpoints.persisted();
    const { totals, problems } = await auditOf(bed);
    assert.deepEqual(problems, []);
    const { seen, acked, bytesTruncated, bytesRefused } = totals;
    assert.deepEqual(
      { seen, acked, bytesTruncated, bytesRefused },
      { seen: 3_009, acked: 3_009, bytesTruncated: 3_001 - 1_013, bytesRefused: 8 },
    );
    await bed.stop(running);
  });

  const change = (record: CheckpointRecord, account: Partial<CheckpointRecord["account"]>) => ({
    ...record,
    account: { ...record.account, ...account },
  });
  type Change = (written: WrittenAccounts, last: CheckpointRecord, loss: JournaledLoss) => WrittenAccounts;
  const withRecords = (written: WrittenAccounts, records: readonly CheckpointRecord[]): WrittenAccounts => ({
    ...written,
    checkpoints: { ...written.checkpoints, records },
  });
  const withLoss = (written: WrittenAccounts, loss: JournaledLoss): WrittenAccounts => ({
    ...written,
    losses: new Map([...written.losses, [loss.number, loss]]),
  });
  const cases: readonly (readonly [string, Change, RegExp])[] = [
    [
      "a file whose figures do not come to what was seen",
      (written, last) => withRecords(written, [change(last, { acked: last.account.acked + 1 })]),
      /a\.log \(\w+\): seen \d+, but acked \d+ \+ lost \d+ \+ held \d+ = \d+/,
    ],
    [
      "more framed than read",
      (written, last) => withRecords(written, [change(last, { framed: 99 })]),
      /read \d+, framed 99 and acked \d+ are not in this order/,
    ],
    [
      "a loss record that is not there",
      (written) => ({ ...written, losses: new Map() }),
      /loss record 2, the last of which the checkpoints know, is not in the journal/,
    ],
    [
      "sums of the journal that are others",
      (written, _last, loss) => withLoss(written, { ...loss, totals: { bytes: 7, unknown: 1 } }),
      /the journal's losses come to 7 bytes and 1 of unknown extent, those of all files to 6 and 1/,
    ],
    [
      "a loss that no file accounts for",
      (written) => {
        const [first] = written.losses.values();
        assert.ok(first !== undefined);
        return withLoss(written, { ...first, file: "stranger", to: (first.to as number) + 5 });
      },
      /loss records of \d+ bytes belong to no file that has an account \(stranger\)/,
    ],
    [
      "a loss of bytes that are acknowledged",
      (written, _last, loss) => withLoss(written, { ...loss, from: 3, to: 3, acked: 5 }),
      /loss record 2 of \[3, 3\) overlaps what is acknowledged, to 5/,
    ],
    [
      "a range that was lost twice",
      (written, _last, loss) => {
        const [first] = written.losses.values();
        assert.ok(first !== undefined);
        return withLoss(written, { ...first, number: loss.number, after: first.number, totals: loss.totals });
      },
      /loss record 2 of \[12, 18\) overlaps loss record 1 of \[12, 18\)/,
    ],
    ["damage", (written) => ({ ...written, damaged: ["Cannot read line 3"] }), /^Cannot read line 3$/],
  ];
  for (const [what, tamper, message] of cases) {
    test(`does not add up with ${what}`, async () => {
      await using bed = await truncatedFile();
      await bed.checkpoints.persisted();
      const written = await accountsOf(bed);
      const last = written.checkpoints.records.at(-1);
      const loss = [...written.losses.values()].at(-1);
      assert.ok(last !== undefined && loss !== undefined);
      const { problems } = await audited(tamper(written, last, loss));
      assert.ok(
        problems.some((problem) => message.test(problem)),
        problems.join("\n"),
      );
    });
  }

  test("does not add up with a file shorter than what is acknowledged, and no loss record", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "line 1\nline 2\n");
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    await bed.stop(running);
    await bed.checkpoints.persisted();
    truncateSync(bed.path("a.log"), 7);
    const { problems } = await auditOf(bed);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? "",
      /a\.log \(\w+\): has 7 bytes, but 14 are acknowledged, and no loss record/,
    );
    const again = bed.start({ path: bed.path("a.log") });
    await bed.step(again);
    await bed.stop(again);
    assert.deepEqual((await auditOf(bed)).problems, []);
  });

  test("names each file of checkpoints once when both are damaged", async () => {
    await using bed = await truncatedFile();
    await bed.checkpoints.close();
    const folder = join(bed.folder, "checkpoints");
    for (const name of ["checkpoints", "checkpoints.previous"]) writeFileSync(join(folder, name), "rubbish");
    await assert.rejects(readAccounts(folder), ({ message }: Error) => {
      assert.deepEqual(message.match(/checkpoints\/checkpoints[.a-z]*/g), [
        "checkpoints/checkpoints",
        "checkpoints/checkpoints.previous",
      ]);
      return true;
    });
  });

  test("leaves out what an agent noticed right before it died, and says so", async () => {
    await using bed = await truncatedFile();
    await bed.checkpoints.persisted();
    const written = await accountsOf(bed);
    const loss = [...written.losses.values()].at(-1);
    assert.ok(loss !== undefined);
    const orphan = { ...loss, number: 3, after: 2, from: 0, to: 4, totals: { bytes: 10, unknown: 1 } };
    const result = await audited(withLoss(written, orphan));
    assert.deepEqual(result.problems, []);
    assert.deepEqual(result.unaccounted, { records: 1, bytes: 4, unknown: 0 });
    assert.match(
      auditText(result),
      /Not in these sums: 4 bytes and 0 losses of unknown extent, in 1 loss records/,
    );
  });
});
