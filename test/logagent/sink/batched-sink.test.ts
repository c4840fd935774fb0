import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemRandom } from "../../../base/random.ts";
import type { LineSpans } from "../../../logagent/framing/types.ts";
import { BatchedSink } from "../../../logagent/sink/batched-sink.ts";
import { DeliveryError, type Destination } from "../../../logagent/sink/destination.ts";
import { MESSAGE_OVERHEAD_BYTES, MessageBatch } from "../../../logagent/sink/kafkajs/message-batch.ts";
import { LineBatch, newlineBytes } from "../../../logagent/sink/line-batch.ts";
import { DESCRIBE_AGAIN_MS } from "../../../logagent/sink/topic-queues.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { SettlingClock } from "../../support/settling-clock.ts";
import { RecordedFile, spansOf, testDeps } from "./recorded-file.ts";

const LINE_BYTES = 10;

/** Lines of LINE_BYTES each, of which rules have made records with longer values, and with keys. */
function ruledSpans(file: RecordedFile, record: { readonly value: string; readonly key: string }): LineSpans {
  const count = 10;
  const from = file.length;
  file.length += count * LINE_BYTES;
  return {
    ...spansOf(new Array<string>(count).fill(record.value)),
    base: from,
    positions: Uint32Array.from({ length: count }, (_, i) => i * LINE_BYTES),
    keys: Array.from({ length: count }, () => Buffer.from(record.key)),
    from,
    to: file.length,
  };
}

describe("BatchedSink", () => {
  const kinds = {
    lines: { newBatch: () => new LineBatch(1_000_000), overheadBytes: newlineBytes() },
    messages: { newBatch: () => new MessageBatch(1_000_000), overheadBytes: MESSAGE_OVERHEAD_BYTES },
  };
  const records = {
    values: { value: "v".repeat(5_000), key: "" },
    keys: { value: "v", key: "k".repeat(5_000) },
  };
  for (const [kind, { newBatch, overheadBytes }] of Object.entries(kinds)) {
    for (const [what, record] of Object.entries(records)) {
      it(`deliver() keeps its limit for ${what} that rules have made long (${kind})`, async () => {
        const maxInFlightBytes = 1_000_000;
        const destination: Destination = {
          describe: async (name) => ({ name, partitions: 1, batchBytesMax: 1_000_000, warnings: [] }),
          newBatch,
          lineOverheadBytes: () => overheadBytes,
          send: () => new Promise(() => undefined),
          close: async () => undefined,
        };
        await using sink = new BatchedSink({ destination, deps: testDeps(), maxInFlightBytes });
        const file = new RecordedFile("long");
        const bytesEach = record.value.length + record.key.length;
        let taken = 0;
        for (;;) {
          const spans = ruledSpans(file, record);
          const signal = AbortSignal.timeout(100);
          const delivery = { topic: "t", file, spans, readAtMs: 0, headers: false };
          const isTaken = await sink.deliver(delivery, { signal }).then(
            () => true,
            () => false,
          );
          if (!isTaken) break;
          taken += spans.count;
          assert.ok(sink.heldBytes >= taken * bytesEach && sink.heldBytes <= sink.limitBytes);
          assert.ok(taken * bytesEach <= maxInFlightBytes, `${taken} records of ${bytesEach} bytes are held`);
        }
        assert.ok(taken > 0);
      });
    }
  }

  it("topic() is ready while lines flow, though the brokers do not say what has become of the topic", async () => {
    const clock = new SettlingClock();
    let isKnown = true;
    let sent = 0;
    const destination: Destination = {
      describe: async (name) => {
        if (!isKnown) throw new DeliveryError("NETWORK_EXCEPTION", "no answer", { remedy: "soon" });
        return { name, partitions: 1, batchBytesMax: 1_000, warnings: [] };
      },
      newBatch: () => new LineBatch(1_000),
      lineOverheadBytes: newlineBytes,
      send: async () => {
        sent += 1;
      },
      close: async () => undefined,
    };
    const { log, lines } = recordedLog();
    await using sink = new BatchedSink({
      destination,
      deps: { clock, random: systemRandom, logger: log },
    });
    const file = new RecordedFile("flows");
    const deliver = async () => {
      await sink.deliver(file.next("t", ["x"]), { signal: new AbortController().signal });
      await clock.advance(1_000);
    };
    await deliver();
    isKnown = false;
    await clock.advance(DESCRIBE_AGAIN_MS);
    await deliver();
    await deliver();
    assert.equal(sent, 3);
    assert.deepEqual(sink.topic("t"), { kind: "ready", warnings: [] });
    assert.deepEqual(lines, []);
  });
});
