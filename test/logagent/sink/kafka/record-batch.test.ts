import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { createRecordsBatch, jsCRC32C } from "@platformatic/kafka";
import fc from "fast-check";
import { NO_PRODUCER, sealBatchHeader } from "../../../../logagent/sink/kafka/batch-header.ts";
import { HeaderTemplate } from "../../../../logagent/sink/kafka/header-template.ts";
import { HeaderTemplates, newKafkaBatch } from "../../../../logagent/sink/kafka/kafka-batch.ts";
import {
  RECORD_OVERHEAD_BYTES_MAX,
  RecordBatchEncoder,
} from "../../../../logagent/sink/kafka/record-batch.ts";
import { RecordBuffers } from "../../../../logagent/sink/kafka/record-buffers.ts";
import { splitRecords } from "../../../../logagent/sink/kafka/records-split.ts";
import type { Delivery } from "../../../../logagent/sink/port.ts";
import { RecordedFile, spansOf } from "../recorded-file.ts";

interface DecodedBatch {
  readonly records: readonly {
    readonly offset: string;
    readonly timestamp: string;
    readonly key: Buffer | null;
    readonly value: Buffer;
    readonly headers: Readonly<Record<string, Buffer>>;
  }[];
  readonly lastOffsetDelta: number;
  readonly maxTimestamp: string;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly firstSequence: number;
}

const require = createRequire(import.meta.url);
/** kafkajs's decoder: not ours, and not the one of the library that sends. */
const decodeBatch: (
  decoder: object,
) => Promise<DecodedBatch> = require("kafkajs/src/protocol/recordBatch/v0/decoder");
const Decoder: new (bytes: Buffer) => object = require("kafkajs/src/protocol/decoder");

const bigBatch = { recordsBytesMax: 1024 * 1024, buffers: new RecordBuffers() };
const shared = { compression: "none", templates: new HeaderTemplates() } as const;

function sealed(encoder: RecordBatchEncoder): Buffer {
  const { records, count, baseTimestampMs, maxTimestampMs } = encoder;
  const stamp = NO_PRODUCER;
  const header = sealBatchHeader({
    records,
    count,
    baseTimestampMs,
    maxTimestampMs,
    compression: "none",
    stamp,
  });
  return Buffer.concat([header, records]);
}

function encode(deliveries: readonly Delivery[], encoder = new RecordBatchEncoder(bigBatch)): Buffer {
  for (const delivery of deliveries) {
    const template = delivery.headers ? new HeaderTemplate(delivery.file) : undefined;
    assert.equal(encoder.append(delivery, template, 0), delivery.spans.count);
  }
  return sealed(encoder);
}

/** The same batch by the encoder of `@platformatic/kafka`. */
function encodeElsewhere(deliveries: readonly Delivery[]): Buffer {
  const messages = deliveries.flatMap(({ file, spans, readAtMs, headers }) =>
    Array.from({ length: spans.count }, (_, i) => ({
      topic: "t",
      partition: 0,
      timestamp: BigInt(readAtMs),
      value: Buffer.from(spans.bytes.subarray(spans.starts[i], spans.ends[i])),
      headers: new Map(
        (headers
          ? [
              ["ip", file.ip],
              ["path", file.path],
              ["pos", `${file.id}:${spans.base + (spans.starts[i] ?? 0)}`],
            ]
          : []
        ).map(([name = "", value = ""]) => [Buffer.from(name), Buffer.from(value)]),
      ),
    })),
  );
  const options = {
    producerEpoch: -1,
    partitionLeaderEpoch: -1,
    sequences: { getWithDefault: () => -1 },
  } as unknown as Parameters<typeof createRecordsBatch>[1];
  return createRecordsBatch(messages, options).buffer;
}

const line = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc
    .constantFrom(0, 1, 62, 63, 64, 65, 127, 128, 8191, 8192, 8193)
    .map((length) => new Uint8Array(length).fill(97)),
);
const base = fc.oneof(
  fc.nat({ max: 2000 }),
  fc.constantFrom(0, 9, 10, 99, 2 ** 31 - 50, 2 ** 31, 2 ** 32 - 7, 999_999_990, 9_999_999_999, 2 ** 52),
);
const deliveries = fc.array(
  fc.record({
    lines: fc.array(line, { minLength: 1, maxLength: 40 }),
    base,
    headers: fc.boolean(),
    file: fc.nat({ max: 3 }),
    readAtMs: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_900_000 }),
  }),
  { minLength: 1, maxLength: 6 },
);

function toDeliveries(
  parts: readonly { lines: Uint8Array[]; base: number; headers: boolean; file: number; readAtMs: number }[],
) {
  const files = [
    new RecordedFile("a"),
    new RecordedFile("ü日志", "::1"),
    new RecordedFile("b".repeat(300)),
    new RecordedFile(""),
  ];
  return parts.map((part): Delivery => {
    const spans = spansOf(
      part.lines.map((bytes) => Buffer.from(bytes)),
      part.base,
    );
    return {
      topic: "t",
      file: files[part.file] as RecordedFile,
      spans,
      readAtMs: part.readAtMs,
      headers: part.headers,
    };
  });
}

describe("RecordBatchEncoder", () => {
  it("append() writes the bytes of message format v2", () => {
    const file = new RecordedFile("1", "10.0.0.1");
    const delivery = {
      topic: "t",
      file,
      spans: spansOf(["hello", "", "x"], 98),
      readAtMs: 1_700_000_000_000,
      headers: true,
    };
    const expected = [
      "0000000000000000", // base offset
      "000000d2", // length
      "ffffffff", // partition leader epoch
      "02", // magic
      "CRC.....",
      "0000", // attributes
      "00000002", // last offset delta
      "0000018bcfe56800", // base timestamp
      "0000018bcfe56800", // max timestamp
      "ffffffffffffffff", // producer id
      "ffff", // producer epoch
      "ffffffff", // base sequence
      "00000003", // records
      "6e000000010a68656c6c6f", // length 55, attributes, deltas 0 and 0, no key, "hello"
      "060469701031302e302e302e31", // 3 headers, ip
      "0870617468 1c2f7661722f6c6f672f312e6c6f67", // path
      "06706f73 0e69642d313a3938", // pos id-1:98
      "6600000201 00",
      "060469701031302e302e302e31",
      "0870617468 1c2f7661722f6c6f672f312e6c6f67",
      "06706f73 10 69642d313a313034", // pos id-1:104: a digit more
      "68000004010278",
      "060469701031302e302e302e31",
      "0870617468 1c2f7661722f6c6f672f312e6c6f67",
      "06706f73 10 69642d313a313035",
    ]
      .join("")
      .replaceAll(" ", "");
    const actual = encode([delivery]).toString("hex");
    const crc = actual.slice(34, 42);
    assert.equal(actual, expected.replace("CRC.....", crc));
    assert.equal(
      crc,
      jsCRC32C(Buffer.from(actual.slice(42), "hex"))
        .toString(16)
        .padStart(8, "0"),
    );
  });

  it("append() writes what another encoder writes", () => {
    fc.assert(
      fc.property(deliveries, (parts) => {
        const all = toDeliveries(parts);
        assert.equal(encode(all).toString("hex"), encodeElsewhere(all).toString("hex"));
      }),
      { numRuns: 300 },
    );
  });

  it("append() writes what another decoder reads", async () => {
    await fc.assert(
      fc.asyncProperty(deliveries, async (parts) => {
        const all = toDeliveries(parts);
        const batch = await decodeBatch(new Decoder(encode(all)));
        const lines = all.flatMap(({ file, spans, readAtMs, headers }) =>
          Array.from({ length: spans.count }, (_, i) => ({
            value: spans.bytes.toString("latin1", spans.starts[i], spans.ends[i]),
            timestamp: String(readAtMs),
            pos: headers ? `${file.id}:${spans.base + (spans.starts[i] ?? 0)}` : undefined,
            path: headers ? file.path : undefined,
            ip: headers ? file.ip : undefined,
          })),
        );
        assert.deepEqual(
          batch.records.map(({ value, timestamp, headers }) => ({
            value: value.toString("latin1"),
            timestamp,
            pos: headers.pos?.toString(),
            path: headers.path?.toString(),
            ip: headers.ip?.toString(),
          })),
          lines,
        );
        assert.equal(batch.lastOffsetDelta, lines.length - 1);
        assert.equal(batch.maxTimestamp, String(Math.max(...all.map(({ readAtMs }) => readAtMs))));
      }),
      { numRuns: 100 },
    );
  });

  it("append() stops before a record that would exceed the limit, and takes one that is larger alone", () => {
    fc.assert(
      fc.property(deliveries, fc.integer({ min: 200, max: 20_000 }), (parts, recordsBytesMax) => {
        const all = toDeliveries(parts);
        const buffers = new RecordBuffers();
        let count = 0;
        for (const delivery of all) {
          for (let first = 0; first < delivery.spans.count; ) {
            const encoder = new RecordBatchEncoder({ recordsBytesMax, buffers });
            const next = encoder.append(delivery, undefined, first);
            assert.equal(encoder.count, next - first);
            assert.ok(next > first);
            assert.ok(encoder.records.length <= recordsBytesMax || encoder.count === 1);
            if (next < delivery.spans.count) assert.equal(encoder.append(delivery, undefined, next), next);
            count += encoder.count;
            encoder.release();
            first = next;
          }
        }
        assert.equal(
          count,
          all.reduce((sum, { spans }) => sum + spans.count, 0),
        );
      }),
      { numRuns: 200 },
    );
  });

  it("append() takes no more memory than the sink is charged", () => {
    fc.assert(
      fc.property(deliveries, (parts) => {
        const all = toDeliveries(parts);
        const batch = encode(all).length - 61;
        const charged = all.reduce((sum, { spans, file, headers }) => {
          const headersBytes = headers ? new HeaderTemplate(file).bytesMax : 0;
          return sum + spans.to - spans.from + spans.count * (RECORD_OVERHEAD_BYTES_MAX + headersBytes);
        }, 0);
        assert.ok(batch <= charged, `${batch} bytes, charged ${charged}`);
      }),
    );
  });
});

describe("sealBatchHeader()", () => {
  it("puts another producer on the same records, checksum included", async () => {
    const encoder = new RecordBatchEncoder(bigBatch);
    encode(
      [{ topic: "t", file: new RecordedFile("s"), spans: spansOf(["a", "b"]), readAtMs: 5, headers: false }],
      encoder,
    );
    const { records, count, baseTimestampMs, maxTimestampMs } = encoder;
    const stamp = { producerId: 4711n, epoch: 3, baseSequence: 2_000_000_000 };
    const header = sealBatchHeader({
      records,
      count,
      baseTimestampMs,
      maxTimestampMs,
      compression: "none",
      stamp,
    });
    const batch = await decodeBatch(new Decoder(Buffer.concat([header, records])));
    assert.deepEqual(
      [batch.producerId, batch.producerEpoch, batch.firstSequence, batch.records.length],
      ["4711", 3, 2_000_000_000, 2],
    );
    assert.equal(header.readUInt32BE(17), jsCRC32C(Buffer.concat([header.subarray(21), records])));
  });
});

describe("splitRecords()", () => {
  it("makes two batches that hold what one held", async () => {
    await fc.assert(
      fc.asyncProperty(deliveries, fc.nat(), async (parts, at) => {
        const all = toDeliveries(parts);
        const encoder = new RecordBatchEncoder(bigBatch);
        const whole = await decodeBatch(new Decoder(encode(all, encoder)));
        if (encoder.count < 2) return;
        const count = 1 + (at % (encoder.count - 1));
        const halves = splitRecords(encoder.records, count);
        const counts = [count, encoder.count - count];
        const decoded = await Promise.all(
          halves.map((records, i) => {
            const { baseTimestampMs, maxTimestampMs } = encoder;
            const facts = {
              count: counts[i] ?? 0,
              baseTimestampMs,
              maxTimestampMs,
              compression: "none",
            } as const;
            const header = sealBatchHeader({ records, ...facts, stamp: NO_PRODUCER });
            return decodeBatch(new Decoder(Buffer.concat([header, records])));
          }),
        );
        assert.deepEqual(
          decoded.flatMap(({ records }) =>
            records.map(({ value, headers, timestamp }) => ({ value, headers, timestamp })),
          ),
          whole.records.map(({ value, headers, timestamp }) => ({ value, headers, timestamp })),
        );
        for (const { records } of decoded) {
          assert.deepEqual(
            records.map(({ offset }) => Number(offset)),
            records.map((_, i) => i),
          );
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("KafkaBatch", () => {
  for (const compression of ["none", "gzip", "zstd"] as const) {
    it(`split() cuts a batch compressed with ${compression} and its ledger at the same line`, async () => {
      const file = new RecordedFile("k");
      const batch = newKafkaBatch({ ...shared, compression }, bigBatch);
      const lines = Array.from({ length: 7 }, (_, i) => `line ${i} ${"z".repeat(100)}`);
      batch.append(file.next("t", lines), { first: 0, lineOverheadBytes: 0 });
      await batch.prepare();
      const [left, right] = await batch.split();
      assert.deepEqual([left.ledger.lines, right.ledger.lines], [3, 4]);
      right.ledger.acked();
      left.ledger.acked();
      const cut = lines.slice(0, 3).join("\n").length + 1;
      assert.deepEqual(file.settled, [
        { from: cut, to: file.length, lines: 4 },
        { from: 0, to: cut, lines: 3 },
      ]);
    });
  }

  it("prepare() keeps records as they are when compression makes them larger", async () => {
    const file = new RecordedFile("k");
    const batch = newKafkaBatch({ ...shared, compression: "zstd" }, bigBatch);
    batch.append(file.next("t", ["x"], { headers: false }), { first: 0, lineOverheadBytes: 0 });
    await batch.prepare();
    const [header] = batch.seal(NO_PRODUCER);
    assert.equal(header.readInt16BE(21), 0, "no compression in the attributes");
  });
});
