import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { readWholeFile } from "../../../base/atomic-file.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { type DeadLetter, DeadLetters } from "../../../logagent/sink/dead-letters.ts";
import type { Batch, DeliveryError } from "../../../logagent/sink/destination.ts";
import { HeaderTemplates, newKafkaBatch } from "../../../logagent/sink/kafka/kafka-batch.ts";
import { RecordBuffers } from "../../../logagent/sink/kafka/record-buffers.ts";
import { MessageBatch } from "../../../logagent/sink/kafkajs/message-batch.ts";
import { LineBatch } from "../../../logagent/sink/line-batch.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { temporaryFolder } from "../../support/process.ts";
import { RecordedFile } from "./recorded-file.ts";

describe("DeadLetters", () => {
  const folder = temporaryFolder("dead-letters");
  after(() => rmSync(folder, { recursive: true, force: true }));

  function letter(topic: string, line: string | Buffer): DeadLetter {
    const bytes = Buffer.from(line);
    const file = new RecordedFile("a");
    const atMs = Date.UTC(2026, 0, 2);
    return {
      topic,
      file,
      from: 7,
      to: 8 + bytes.length,
      atMs,
      code: "MESSAGE_TOO_LARGE",
      reason: "no",
      bytes,
    };
  }

  const open = (bytesMax = 10_000) => new DeadLetters({ folder, disk: nodeDisk, bytesMax });
  const lettersOf = (topic: string): Record<string, unknown>[] =>
    readFileSync(path.join(folder, `${topic}.jsonl`), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));

  it("write() keeps position, reason and every byte", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await open().write(letter("t1", bytes));
    assert.deepEqual(lettersOf("t1"), [
      {
        version: 1,
        at: "2026-01-02T00:00:00.000Z",
        topic: "t1",
        ip: "10.1.2.3",
        path: "/var/log/a.log",
        file: "id-a",
        pos: 7,
        end: 264,
        code: "MESSAGE_TOO_LARGE",
        reason: "no",
        bytes: bytes.toString("base64"),
      },
    ]);
  });

  it("write() appends in order, also when asked at the same time", async () => {
    const letters = open();
    const lines = Array.from({ length: 20 }, (_, i) => `line ${i}`);
    await Promise.all(lines.map((line) => letters.write(letter("t2", line))));
    assert.deepEqual(
      lettersOf("t2").map(({ bytes }) => Buffer.from(String(bytes), "base64").toString()),
      lines,
    );
  });

  it("write() cuts what a crash left of a letter", async () => {
    const letters = open();
    await letters.write(letter("t3", "whole"));
    appendFileSync(path.join(folder, "t3.jsonl"), '{"version":1,"at":');
    await letters.write(letter("t3", "next"));
    assert.equal(lettersOf("t3").length, 2);
  });

  it("write() refuses at the limit, and goes on when the file is taken away", async () => {
    const letters = open(400);
    await letters.write(letter("t4", "fits"));
    const expected = { code: "DEAD_LETTERS_FULL", remedy: "slow", message: /holds \d+ of at most 400/ };
    await assert.rejects(letters.write(letter("t4", "x".repeat(200))), expected);
    assert.equal(lettersOf("t4").length, 1);
    rmSync(path.join(folder, "t4.jsonl"));
    await letters.write(letter("t4", "y"));
    assert.equal(lettersOf("t4").length, 1);
  });

  it("write() syncs the folder for a file's first letter only, and again when the file was taken away", async () => {
    const disk = new MemoryDisk();
    const letters = new DeadLetters({ folder: "/dead", disk, bytesMax: 10_000 });
    disk.failNth("syncFolder", 1, "EIO");
    await assert.rejects(letters.write(letter("t", "0")), { code: "EIO" });
    for (let i = 0; i < 3; i += 1) await letters.write(letter("t", `${i}`));
    assert.equal(disk.counts.get("syncFolder"), 2);
    await disk.remove("/dead/t.jsonl");
    for (let i = 0; i < 3; i += 1) await letters.write(letter("t", `${i}`));
    assert.equal(disk.counts.get("syncFolder"), 3);
  });

  it("write() says that the disk is full, whatever it fails at, and goes on when there is room", async () => {
    for (const operation of ["write", "sync"] as const) {
      const disk = new MemoryDisk();
      const letters = new DeadLetters({ folder: "/dead", disk, bytesMax: 10_000 });
      await letters.write(letter("t", "before"));
      disk.failNth(operation, 1, "ENOSPC");
      await assert.rejects(letters.write(letter("t", "then")), (error: DeliveryError) => {
        assert.equal(error.code, "ENOSPC");
        assert.equal(error.remedy, "slow");
        assert.match(error.message, /^Cannot keep a line that topic t refuses in \/dead\/t\.jsonl: ENOSPC/);
        return true;
      });
      await letters.write(letter("t", "then"));
      const text = (await readWholeFile(disk, "/dead/t.jsonl")).toString();
      const kept = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).bytes);
      // What failed to be synced may be there: then it is there twice.
      const expected = ["before", ...(operation === "sync" ? ["then"] : []), "then"];
      assert.deepEqual(
        kept,
        expected.map((line) => Buffer.from(line).toString("base64")),
      );
    }
  });

  it("write() says why a file cannot be written, and stays within its folder", async () => {
    mkdirSync(path.join(folder, "dir.jsonl"));
    await assert.rejects(open().write(letter("dir", "x")), { code: "EISDIR", remedy: "slow" });
    writeFileSync(path.join(folder, "file"), "");
    const below = new DeadLetters({ folder: path.join(folder, "file"), disk: nodeDisk, bytesMax: 1_000 });
    await assert.rejects(below.write(letter("t", "x")), { remedy: "slow" });
    await open().write(letter("../up", "x"));
    assert.equal(lettersOf("..%2Fup").length, 1);
  });
});

describe("Batch.onlyLine()", () => {
  const kafkaBatch = (compression: "none" | "zstd" | "gzip") => () =>
    newKafkaBatch(
      { compression, templates: new HeaderTemplates() },
      { recordsBytesMax: 1_000_000, buffers: new RecordBuffers() },
    );
  const kinds: Record<string, () => Batch> = {
    "Kafka, none": kafkaBatch("none"),
    "Kafka, zstd": kafkaBatch("zstd"),
    "Kafka, gzip": kafkaBatch("gzip"),
    kafkajs: () => new MessageBatch(1_000_000),
    "lines alone": () => new LineBatch(1_000_000),
  };
  for (const [kind, newBatch] of Object.entries(kinds)) {
    it(`gives the bytes of the line, also after a cut (${kind})`, async () => {
      const lines = ["", "\0\xff", "a".repeat(63), "b".repeat(64), "c".repeat(100_000)];
      for (const headers of [true, false]) {
        const file = new RecordedFile("one");
        const batch = newBatch();
        batch.append(file.next("t", lines, { headers }), { first: 0, lineOverheadBytes: 0 });
        await batch.prepare();
        const found: string[] = [];
        const parts: Batch[] = [batch];
        for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
          if (part.ledger.lines > 1) parts.unshift(...(await part.split()));
          else found.push((await part.onlyLine()).toString());
        }
        assert.deepEqual(found, lines);
      }
    });
  }
});
