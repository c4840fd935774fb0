import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { mkdtemp, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { SharedDisk } from "../../../base/disk.ts";
import { CodedError } from "../../../base/errors.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { BatchedSink } from "../../../logagent/sink/batched-sink.ts";
import { FileDestination } from "../../../logagent/sink/file-destination.ts";
import { LineBatch } from "../../../logagent/sink/line-batch.ts";
import { type ContractBed, sinkContract } from "./contract.ts";
import { RecordedFile, testDeps } from "./recorded-file.ts";

/** A disk that can be full. */
class FullableDisk implements SharedDisk {
  isFull = false;
  syncs = 0;
  /** What others do between a sync and the acknowledgement; once. */
  afterSync: (() => Promise<void>) | undefined;
  readonly list = nodeDisk.list;
  readonly makeFolder = nodeDisk.makeFolder;
  readonly rename = nodeDisk.rename;
  readonly remove = nodeDisk.remove;
  /** Handles that are not closed. */
  openFiles = 0;
  /** What a folder's sync waits for; once. */
  beforeSyncFolder: (() => Promise<unknown>) | undefined;

  async syncFolder(folder: string) {
    const wait = this.beforeSyncFolder;
    this.beforeSyncFolder = undefined;
    await wait?.();
    await nodeDisk.syncFolder(folder);
  }

  async open(path: string, options: { readonly create: boolean }) {
    const file = await nodeDisk.open(path, options);
    this.openFiles += 1;
    return {
      ...file,
      close: async () => {
        this.openFiles -= 1;
        await file.close();
      },
      write: async (buffers: readonly Uint8Array[], position: number) => {
        if (!this.isFull) return await file.write(buffers, position);
        // As a full disk does: some of it is written.
        await file.write([(buffers[0] ?? new Uint8Array()).subarray(0, 3)], position);
        throw new CodedError("ENOSPC", "no space left on device");
      },
      sync: async () => {
        this.syncs += 1;
        await file.sync();
        const meddle = this.afterSync;
        this.afterSync = undefined;
        await meddle?.();
      },
    };
  }
}

async function newFileBed(): Promise<ContractBed & { readonly folder: string; readonly disk: FullableDisk }> {
  const folder = await mkdtemp(join(os.tmpdir(), "logagent-file-sink-"));
  const disk = new FullableDisk();
  let topics = 0;
  const unusedTopic = () => `topic-${topics++}`;
  return {
    folder,
    disk,
    missingReason: /^Cannot open .*\.log: .*(EISDIR|illegal operation on a directory)/,
    oversized: { bytes: 3 * 1024 * 1024, outcome: "arrives" },
    newTopic: async () => unusedTopic(),
    unusedTopic: () => {
      const topic = unusedTopic();
      // A folder where the file should be is as good as a topic that is not there.
      mkdirSync(join(folder, `${topic}.log`));
      return topic;
    },
    createTopic: (topic) => rm(join(folder, `${topic}.log`), { recursive: true }),
    open: (options = {}) =>
      new BatchedSink({
        destination: new FileDestination({ folder, disk }),
        deps: testDeps(),
        maxInFlightBytes: options.maxInFlightBytes,
      }),
    arrived: async (topic) => linesOf(await readFile(join(folder, `${topic}.log`))),
    away: async () => {
      disk.isFull = true;
    },
    back: async () => {
      disk.isFull = false;
    },
    roundTrips: () => disk.syncs,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

function linesOf(content: Buffer): { readonly value: Buffer }[] {
  const lines: { readonly value: Buffer }[] = [];
  for (let at = 0; at < content.length; ) {
    const end = content.indexOf(10, at);
    assert.notEqual(end, -1, "the last line has a newline");
    lines.push({ value: content.subarray(at, end) });
    at = end + 1;
  }
  return lines;
}

sinkContract("file sink", newFileBed);

describe("FileDestination", () => {
  it("describe() cuts off a torn last line, so that nothing is glued to it", async () => {
    await using bed = await newFileBed();
    const path = join(bed.folder, "torn.log");
    await writeFile(path, "whole\nalso whole\ntor");
    await using sink = bed.open();
    const file = new RecordedFile("torn");
    await sink.deliver(file.next("torn", ["next"]), { signal: AbortSignal.timeout(10_000) });
    await sink.flush({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await readFile(path, "utf8"), "whole\nalso whole\nnext\n");
  });

  it("describe() empties a file that is one torn line longer than a block", async () => {
    await using bed = await newFileBed();
    const path = join(bed.folder, "torn.log");
    await writeFile(path, Buffer.alloc(200_000, "t"));
    await using sink = bed.open();
    await sink.deliver(new RecordedFile("torn").next("torn", ["next"]), {
      signal: AbortSignal.timeout(10_000),
    });
    await sink.flush({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await readFile(path, "utf8"), "next\n");
  });

  it("send() names file and reason while the disk is full, and writes each line once", async () => {
    await using bed = await newFileBed();
    await using sink = bed.open();
    const file = new RecordedFile("full");
    await sink.deliver(file.next("full", ["one"]), { signal: AbortSignal.timeout(10_000) });
    await sink.flush({ signal: AbortSignal.timeout(10_000) });
    await bed.away();
    await sink.deliver(file.next("full", ["two", "three"]), { signal: AbortSignal.timeout(10_000) });
    await assert.rejects(sink.flush({ signal: AbortSignal.timeout(300) }));
    const status = sink.topic("full");
    assert.ok(status.kind === "waiting");
    assert.equal(status.reason, `Cannot write ${bed.folder}/full.log: no space left on device`);
    await bed.back();
    await sink.flush({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await readFile(join(bed.folder, "full.log"), "utf8"), "one\ntwo\nthree\n");
    file.assertComplete();
  });

  it("send() acknowledges no line in a file that was removed or replaced while it was written", async () => {
    await using bed = await newFileBed();
    await using sink = bed.open();
    const path = join(bed.folder, "gone.log");
    const file = new RecordedFile("gone");
    const deliver = async (line: string) => {
      await sink.deliver(file.next("gone", [line]), { signal: AbortSignal.timeout(10_000) });
      await sink.flush({ signal: AbortSignal.timeout(10_000) });
    };
    bed.disk.afterSync = () => rm(path);
    await deliver("one");
    assert.equal(await readFile(path, "utf8"), "one\n");
    bed.disk.afterSync = async () => {
      await rename(path, `${path}.1`);
      await writeFile(path, "another's\n");
    };
    await deliver("two");
    assert.equal(await readFile(path, "utf8"), "another's\ntwo\n");
    file.assertComplete();
  });

  it("send() acknowledges no line in a file that was truncated while it was written", async () => {
    await using bed = await newFileBed();
    await using sink = bed.open();
    const path = join(bed.folder, "cut.log");
    const file = new RecordedFile("cut");
    bed.disk.afterSync = () => truncate(path);
    await sink.deliver(file.next("cut", ["one"]), { signal: AbortSignal.timeout(10_000) });
    await sink.flush({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await readFile(path, "utf8"), "one\n");
    file.assertComplete();
  });

  it("send() writes to a new file after one was removed, renamed or emptied between two batches", async () => {
    await using bed = await newFileBed();
    await using sink = bed.open();
    const path = join(bed.folder, "rotated.log");
    const file = new RecordedFile("rotated");
    const deliver = async (line: string) => {
      await sink.deliver(file.next("rotated", [line]), { signal: AbortSignal.timeout(10_000) });
      await sink.flush({ signal: AbortSignal.timeout(10_000) });
    };
    await deliver("one");
    await rename(path, `${path}.1`);
    await deliver("two");
    assert.equal(await readFile(`${path}.1`, "utf8"), "one\n");
    assert.equal(await readFile(path, "utf8"), "two\n");
    await rm(path);
    await deliver("three");
    assert.equal(await readFile(path, "utf8"), "three\n");
    await truncate(path);
    await deliver("four");
    assert.equal(await readFile(path, "utf8"), "four\n");
  });

  it("send() while describe() opens the file overwrites no acknowledged line, and leaves no second handle", async () => {
    await using bed = await newFileBed();
    const { disk, folder } = bed;
    const destination = new FileDestination({ folder, disk });
    const file = new RecordedFile("race");
    const send = async (line: string) => {
      const batch = new LineBatch(1_024);
      batch.append(file.next("race", [line]), { first: 0, lineOverheadBytes: 0 });
      await destination.send({ topic: "race", partition: 0 }, batch);
    };
    disk.beforeSyncFolder = () => sleep(100);
    const described = destination.describe("race");
    await send("one");
    await described;
    await send("two");
    assert.equal(await readFile(join(folder, "race.log"), "utf8"), "one\ntwo\n");
    assert.equal(disk.openFiles, 1);
    await destination.close();
    assert.equal(disk.openFiles, 0);
  });

  it("send() keeps a topic of any name inside the folder", async () => {
    await using bed = await newFileBed();
    await using sink = bed.open();
    const file = new RecordedFile("name");
    await sink.deliver(file.next("../../a b/*", ["x"]), { signal: AbortSignal.timeout(10_000) });
    await sink.flush({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await readFile(join(bed.folder, "..%2F..%2Fa%20b%2F%2A.log"), "utf8"), "x\n");
  });
});
