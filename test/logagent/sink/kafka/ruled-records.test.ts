import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { LineSpans, PartMark } from "../../../../logagent/framing/types.ts";
import { NO_PRODUCER } from "../../../../logagent/sink/kafka/batch-header.ts";
import {
  HeaderTemplates,
  type KafkaBatch,
  newKafkaBatch,
} from "../../../../logagent/sink/kafka/kafka-batch.ts";
import { RecordBuffers } from "../../../../logagent/sink/kafka/record-buffers.ts";
import { MessageBatch } from "../../../../logagent/sink/kafkajs/message-batch.ts";
import { keptBytesPerLine } from "../../../../logagent/sink/line-overhead.ts";
import { RecordedFile } from "../recorded-file.ts";

interface Decoded {
  readonly key: Buffer | null;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, Buffer>>;
}

const require = createRequire(import.meta.url);
/** kafkajs's decoder, which shares no code with our encoder. */
const decodeBatch: (decoder: object) => Promise<{
  readonly records: readonly Decoded[];
}> = require("kafkajs/src/protocol/recordBatch/v0/decoder");
const Decoder: new (bytes: Buffer) => object = require("kafkajs/src/protocol/decoder");

const shared = { compression: "none", templates: new HeaderTemplates() } as const;
const BASE = 95;

interface Ruled {
  readonly value: string;
  readonly key?: string | undefined;
  readonly part?: Omit<PartMark, "record"> | undefined;
  /** Bytes of the file that the record stands for. */
  readonly bytes: number;
}

/** Values of records in a buffer of their own, as rules leave them. */
function spansOf(records: readonly Ruled[], keyOfAll?: string): LineSpans {
  const starts = new Uint32Array(records.length);
  const ends = new Uint32Array(records.length);
  const positions = new Uint32Array(records.length);
  let position = 3;
  let at = 0;
  records.forEach(({ value, bytes }, i) => {
    starts[i] = at;
    at += Buffer.byteLength(value);
    ends[i] = at;
    positions[i] = position;
    position += bytes;
  });
  const parts = records.flatMap(({ part }, record) => (part === undefined ? [] : [{ ...part, record }]));
  return {
    bytes: Buffer.from(records.map(({ value }) => value).join("")),
    base: BASE,
    count: records.length,
    starts,
    ends,
    positions,
    from: BASE,
    to: BASE + position,
    ...(parts.length === 0 ? {} : { parts }),
    keys:
      keyOfAll === undefined
        ? records.map(({ key }) => (key === undefined ? key : Buffer.from(key)))
        : Buffer.from(keyOfAll),
  };
}

async function decode(batch: KafkaBatch): Promise<readonly Decoded[]> {
  const bytes = Buffer.concat([...batch.seal(NO_PRODUCER)]);
  return (await decodeBatch(new Decoder(bytes))).records;
}

const text = fc.string({ maxLength: 20 });
const ruled: fc.Arbitrary<Ruled> = fc.record({
  value: text,
  key: fc.option(text, { nil: undefined }),
  part: fc.option(
    fc.record({
      part: fc.integer({ min: 1, max: 1_000_000 }),
      isLast: fc.boolean(),
      of: fc.constantFrom("line", "group"),
    }),
    { nil: undefined },
  ),
  bytes: fc.integer({ min: 1, max: 1000 }),
});

const partText = (part: Ruled["part"]): string | undefined =>
  part === undefined ? undefined : part.isLast ? `${part.part}/${part.part}` : `${part.part}`;

suite("records that rules have made", () => {
  test("KafkaBatch.append() gives them key, part and position, however many fit a batch", async () => {
    const property = fc.asyncProperty(
      fc.array(ruled, { minLength: 1, maxLength: 30 }),
      fc.boolean(),
      fc.option(text, { nil: undefined }),
      fc.integer({ min: 100, max: 3000 }),
      async (records, headers, keyOfAll, recordsBytesMax) => {
        const file = new RecordedFile("s");
        const spans = spansOf(records, keyOfAll);
        file.length = spans.to;
        const delivery = { topic: "t", file, spans, readAtMs: 5, headers };
        const found: Decoded[] = [];
        for (let next = 0; next < records.length; ) {
          const batch = newKafkaBatch(shared, { recordsBytesMax, buffers: new RecordBuffers() });
          next = batch.append(delivery, { first: next, lineOverheadBytes: 7 });
          await batch.prepare();
          assert.equal(batch.ledger.chargedBytes, batch.ledger.bytes + 7 * batch.ledger.lines);
          if (batch.ledger.lines > 1) {
            for (const part of await batch.split()) {
              found.push(...(await decode(part as KafkaBatch)));
              part.ledger.acked();
            }
          } else {
            assert.deepEqual(await batch.onlyLine(), (await decode(batch))[0]?.value);
            found.push(...(await decode(batch)));
            batch.ledger.acked();
          }
        }
        assert.deepEqual(
          found.map(({ key, value, headers: { pos, part } }) => ({
            key: key?.toString(),
            value: value.toString(),
            pos: pos?.toString(),
            part: part?.toString(),
          })),
          records.map(({ value, key, part }, i) => ({
            key: keyOfAll ?? key,
            value,
            pos: headers ? `${file.id}:${BASE + (spans.positions?.[i] ?? 0)}` : undefined,
            part: partText(part),
          })),
        );
        const settled = file.settled.toSorted((a, b) => a.from - b.from);
        assert.equal(settled[0]?.from, spans.from);
        assert.equal(settled.at(-1)?.to, spans.to);
        for (const [i, { from }] of settled.entries()) assert.equal(from, settled[i - 1]?.to ?? spans.from);
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });

  test("lineOverheadBytes() and keptBytesPerLine() are at least what the records take", async () => {
    const records = Array.from({ length: 20 }, (_, i) => ({
      value: "x".repeat(500),
      key: "k".repeat(i * 10),
      part: { part: i + 1, isLast: false, of: "line" } as const,
      bytes: 10,
    }));
    const delivery = {
      topic: "t",
      file: new RecordedFile("s"),
      spans: spansOf(records),
      readAtMs: 5,
      headers: true,
    };
    const batch = newKafkaBatch(shared, { recordsBytesMax: 1024 * 1024, buffers: new RecordBuffers() });
    const lineOverheadBytes = shared.templates.lineOverheadBytes(delivery) + keptBytesPerLine(delivery.spans);
    batch.append(delivery, { first: 0, lineOverheadBytes });
    await batch.prepare();
    assert.ok(batch.ledger.chargedBytes >= batch.recordsBytes);
  });

  test("MessageBatch.append() gives them key, part and position", () => {
    const file = new RecordedFile("s");
    const records: Ruled[] = [
      { value: "a", key: "k", bytes: 5 },
      { value: "b", part: { part: 2, isLast: true, of: "group" }, bytes: 7 },
    ];
    const append = (headers: boolean) => {
      const batch = new MessageBatch(10_000);
      batch.append(
        { topic: "t", file, spans: spansOf(records), readAtMs: 5, headers },
        { first: 0, lineOverheadBytes: 0 },
      );
      return batch.messages.map(({ key, value, headers: all }) => [key?.toString(), value?.toString(), all]);
    };
    const { ip, path, id } = file;
    assert.deepEqual(append(true), [
      ["k", "a", { ip, path, pos: `${id}:98` }],
      [undefined, "b", { ip, path, part: "2/2", pos: `${id}:103` }],
    ]);
    assert.deepEqual(append(false), [
      ["k", "a", undefined],
      [undefined, "b", { part: "2/2" }],
    ]);
  });
});
