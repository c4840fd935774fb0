import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { crc32c } from "@node-rs/crc32";
import { seededRandom } from "../../../base/random.ts";
import { entry, hardState, texts, WalBed } from "./wal-bed.ts";

const SECTOR = 512;

interface Written {
  readonly bed: WalBed;
  readonly path: string;
  /** Where each frame of the segment begins, and after the last one. */
  readonly offsets: readonly number[];
}

/** Three frames of four sectors each in one segment; entries 1, 2 and 3. */
async function threeFrames(): Promise<Written> {
  const bed = new WalBed();
  const { wal } = await bed.open({ segmentBytes: 64 * 1024 });
  for (let i = 1; i <= 3; i += 1) {
    await wal.append({ hardState: hardState(1), entries: [entry(i, 1, "abcdefg".repeat(250))] });
  }
  await wal.close();
  const path = await bed.lastSegment();
  // As it is in all segments but the first: zeros behind the last frame.
  const bytes = bed.disk.bytes(path);
  bed.disk.overwrite(path, Buffer.concat([bytes, Buffer.alloc(64 * 1024 - bytes.length)]));
  return { bed, path, offsets: [512, 2560, 4608, 6656] };
}

function damage({ bed, path }: Written, change: (bytes: Buffer) => unknown): void {
  const bytes = Buffer.from(bed.disk.bytes(path));
  const changed = change(bytes);
  bed.disk.overwrite(path, changed instanceof Buffer ? changed : bytes);
}

async function refuses(written: Written, message: RegExp): Promise<void> {
  const before = Buffer.from(written.bed.disk.bytes(written.path));
  await assert.rejects(written.bed.open(), (error: Error & { code?: string }) => {
    assert.equal(error.code, "EWALCORRUPT");
    assert.match(error.message, message);
    assert.ok(error.message.startsWith("Cannot read WAL segment /data/wal/00000000000000"), error.message);
    return true;
  });
  assert.ok(before.equals(written.bed.disk.bytes(written.path)), "a refused log is not touched");
}

async function cuts(written: Written, found: RegExp): Promise<void> {
  const { bed, offsets } = written;
  const { wal, entries } = await bed.open();
  assert.deepEqual(
    entries.map(({ index }) => index),
    [1, 2],
  );
  assert.deepEqual(
    [bed.logged[0]?.msg, bed.logged[0]?.offset],
    ["cut a torn frame off the end of the WAL", offsets[2]],
  );
  assert.match(String(bed.logged[0]?.found), found);
  for (let i = 3; i <= 9; i += 1) await wal.append({ hardState: undefined, entries: [entry(i, 2, "new")] });
  bed.disk.crash({ random: seededRandom(1) });
  const again = await bed.open();
  assert.deepEqual(
    again.entries.map(({ index, term }) => [index, term]),
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((index) => [index, index < 3 ? 1 : 2]),
  );
  assert.equal(bed.logged.length, 1, "the torn frame is cut once");
  await again.wal.close();
}

suite("Wal.open() cuts off a torn last frame", () => {
  for (const sector of [1, 2, 3]) {
    test(`with its sector ${sector} all zero`, async () => {
      const written = await threeFrames();
      const at = (written.offsets[2] ?? 0) + sector * SECTOR;
      damage(written, (bytes) => bytes.fill(0, at, at + SECTOR));
      await cuts(written, /^frame 2 has CRC32C 0x[0-9a-f]{8}, expected 0x[0-9a-f]{8}$/);
    });
  }

  test("with its first sector all zero", async () => {
    const written = await threeFrames();
    damage(written, (bytes) => bytes.fill(0, written.offsets[2], (written.offsets[2] ?? 0) + SECTOR));
    await cuts(written, /first sector is all zeros/);
  });

  for (const kept of [1, 100, SECTOR, 2 * SECTOR, 4 * SECTOR - 1]) {
    test(`with the file ending ${kept} bytes into it`, async () => {
      const written = await threeFrames();
      damage(written, (bytes) => bytes.subarray(0, (written.offsets[2] ?? 0) + kept));
      await cuts(written, /the file ends \d+ bytes into a frame/);
    });
  }
});

suite("Wal.open() refuses damage that no crash explains", () => {
  test("a changed byte in a frame in the middle, with file, offset and both CRCs", async () => {
    const written = await threeFrames();
    damage(written, (bytes) => bytes.writeUInt8(0xff, 3000));
    await refuses(
      written,
      /0000000000000000-0000000000000001\.wal: at offset 2560 frame 1 has CRC32C 0x[0-9a-f]{8}, expected 0x/,
    );
  });

  test("a changed byte in the last frame, without a sector of zeros", async () => {
    const written = await threeFrames();
    damage(written, (bytes) => bytes.writeUInt8(0xff, 5000));
    await refuses(written, /at offset 4608 frame 2 has CRC32C/);
  });

  test("a changed byte in a last frame whose value holds a sector of zeros", async () => {
    const written = await threeFrames();
    const { wal } = await written.bed.open({ segmentBytes: 64 * 1024 });
    await wal.append({ hardState: undefined, entries: [entry(4, 1, Buffer.alloc(4000))] });
    await wal.append({ hardState: undefined, entries: [entry(5, 1, Buffer.alloc(4000))] });
    await wal.close();
    const last = 6656 + 4096;
    damage(written, (bytes) => bytes.writeUInt8(1, last + 70));
    await refuses(written, new RegExp(`at offset ${last} frame 4 has CRC32C`));
  });

  test("a changed byte in the last frame's header", async () => {
    const written = await threeFrames();
    damage(written, (bytes) => bytes.writeUInt8(0xff, 4608 + 17));
    await refuses(written, /at offset 4608 there is no frame header with a right CRC32C, expected frame 2/);
  });

  for (const sector of [0, 1, 2, 3]) {
    test(`a frame with its sector ${sector} all zero and another frame behind it`, async () => {
      const written = await threeFrames();
      damage(written, (bytes) => bytes.fill(0, 2560 + sector * SECTOR, 2560 + (sector + 1) * SECTOR));
      await refuses(written, /at offset 2560 .*, and another frame follows at offset 4608/);
    });
  }

  test("a frame that was taken out, and one that comes twice", async () => {
    const without = await threeFrames();
    damage(without, (bytes) => Buffer.concat([bytes.subarray(0, 2560), bytes.subarray(4608)]));
    await refuses(without, /at offset 2560 there is frame 2, expected frame 1/);
    const twice = await threeFrames();
    damage(twice, (bytes) => void bytes.copy(bytes, 6656, 4608, 6656));
    await refuses(twice, /at offset 6656 there is frame 2, expected frame 3/);
  });

  test("a wrong magic, an unknown old version, a wrong header CRC, a file that is too short", async () => {
    const magic = await threeFrames();
    damage(magic, (bytes) => bytes.write("NOTAWAL!", 0));
    await refuses(magic, /at offset 0 the magic is 4e4f544157414c21, expected 6c6f67737477616c/);
    const old = await threeFrames();
    damage(old, (bytes) => bytes.writeUInt32LE(0, 8));
    await refuses(old, /at offset 8 the format version is 0, expected 1/);
    const header = await threeFrames();
    damage(header, (bytes) => bytes.writeUInt8(9, 40));
    await refuses(header, /at offset 0 the header's CRC32C is 0x[0-9a-f]{8}, expected 0x/);
    const short = await threeFrames();
    damage(short, (bytes) => bytes.subarray(0, 100));
    await refuses(short, /at offset 0 the file ends after 100 bytes, expected a header of 512/);
  });

  test("a newer format version, with the file, the version found and the newest known", async () => {
    const written = await threeFrames();
    damage(written, (bytes) => {
      bytes.writeUInt32LE(2, 8);
      bytes.writeUInt32LE(crc32c(bytes.subarray(0, 92)), 92);
    });
    await assert.rejects(written.bed.open(), {
      code: "EWALVERSION",
      message:
        "Cannot read WAL segment /data/wal/0000000000000000-0000000000000001.wal: format version 2, expected 1 or less",
    });
  });

  test("any flipped bit of any frame", async () => {
    const random = seededRandom(5);
    for (let i = 0; i < 300; i += 1) {
      const written = await threeFrames();
      const [start = 0, end = 0] = [written.offsets[0], written.offsets[3]];
      const at = start + Math.floor(random.next() * (end - start));
      // Behind the payload a frame is filled up with zeros that mean nothing.
      const isFill = (at - start) % 2048 >= 64 + 24 + 1750;
      damage(written, (bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (i % 8)), at));
      if (!isFill) await refuses(written, /at offset (512|2560|4608) /);
    }
  });
});

suite("Wal.open() refuses damage to a segment that is followed by another", () => {
  async function manySegments(): Promise<WalBed> {
    const bed = new WalBed();
    const { wal } = await bed.open({ segmentBytes: 8192 });
    for (let i = 1; i <= 20; i += 1) {
      await wal.append({ hardState: hardState(1), entries: [entry(i, 1, "abcdefg".repeat(250))] });
    }
    await wal.close();
    return bed;
  }

  test("its last frame zeroed, torn or cut off", async () => {
    const changes: readonly ((bytes: Buffer, last: number) => Buffer)[] = [
      (bytes, last) => bytes.fill(0, last, last + 2048),
      (bytes, last) => bytes.fill(0, last + 512, last + 1024),
      (bytes, last) => bytes.subarray(0, last + 600),
      (bytes, last) => bytes.subarray(0, last),
    ];
    for (const change of changes) {
      const bed = await manySegments();
      const path = (await bed.segments())[1] ?? "";
      const bytes = Buffer.from(bed.disk.bytes(path));
      const frames = Math.floor((8192 - 512) / 2048);
      const last = 512 + (frames - 1) * 2048;
      bed.disk.overwrite(path, change(bytes, last));
      await assert.rejects(bed.open(), (error: Error) => {
        assert.match(error.message, new RegExp(`${path}: at offset ${last} `));
        return true;
      });
    }
  });

  test("a segment that is missing", async () => {
    const bed = await manySegments();
    const [, second = "", third = ""] = await bed.segments();
    await bed.disk.remove(second);
    await assert.rejects(bed.open(), {
      code: "EWALCORRUPT",
      message: new RegExp(`${third} goes on at frame`),
    });
  });

  test("a segment under another one's name", async () => {
    const bed = await manySegments();
    const last = await bed.lastSegment();
    await bed.disk.rename(last, last.replace("/data/wal/00000000000000", "/data/wal/00000000000001"));
    await assert.rejects(bed.open(), {
      code: "EWALCORRUPT",
      message: /at offset 0 the header is of segment 6 from entry 19, expected segment 262 from entry 19/,
    });
  });
});

suite("Wal.open() is not deceived by values", () => {
  test("that hold a copy of the segment's own first frame, in a torn frame", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open({ segmentBytes: 64 * 1024 });
    await wal.append({ hardState: hardState(1), entries: [entry(1, 1)] });
    const other = new WalBed({ seed: 2 });
    const foreign = await other.open({ segmentBytes: 64 * 1024 });
    await foreign.wal.append({ hardState: hardState(1), entries: [entry(1, 1)] });
    const frame = other.disk.bytes(await other.lastSegment()).subarray(512, 1024);
    // In the value, the frame of another log begins at a sector.
    const value = Buffer.concat([Buffer.alloc(512 - 88, 1), frame, Buffer.alloc(1024, 1)]);
    await wal.append({ hardState: hardState(1), entries: [entry(2, 1, value)] });
    const path = await bed.lastSegment();
    const bytes = Buffer.from(bed.disk.bytes(path));
    assert.ok(bytes.subarray(1536, 2048).equals(frame));
    bed.disk.overwrite(path, bytes.fill(0, 2048, 2560));
    const again = await bed.open();
    assert.deepEqual(texts(again.entries), ["1.1 e1.1"]);
    await again.wal.close();
  });
});

test("Wal.open() leaves the torn frame of a log that it refuses as it is", async () => {
  const written = await threeFrames();
  damage(written, (bytes) => bytes.subarray(0, 5_000));
  const before = Buffer.from(written.bed.disk.bytes(written.path));
  await assert.rejects(written.bed.open({ after: { index: 3, term: 1 } }), {
    code: "EWALMISMATCH",
    message: "Cannot read WAL in /data/wal: it ends at entry 2, the backend has applied entry 3",
  });
  assert.ok(before.equals(written.bed.disk.bytes(written.path)));
  assert.deepEqual(written.bed.logged, []);
});

test("Wal.open() reads a log of before there were log ids, and tells a damaged id from it", async () => {
  const written = await threeFrames();
  damage(written, (bytes) => bytes.fill(0, 96, 108));
  const { wal, logId } = await written.bed.open();
  assert.equal(logId, 0n);
  await wal.close();
  damage(written, (bytes) => bytes.writeUInt8(1, 100));
  await refuses(written, /the header's CRC32C is/);
});
