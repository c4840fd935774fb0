import assert from "node:assert/strict";
import { describe, it } from "node:test";
import kafkajs from "kafkajs";
import { partitionFor } from "../../../logagent/sink/partition-for.ts";
import { RecordedFile } from "./recorded-file.ts";

describe("partitionFor()", () => {
  it("chooses as a producer would for the key, and without one for ip + path", () => {
    const partitioner = kafkajs.Partitioners.DefaultPartitioner();
    const used = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const file = new RecordedFile(`${"日".repeat(i % 4)}${i}`, `10.0.${i}.1`);
      for (const partitions of [1, 2, 7, 100]) {
        const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
          partitionId,
          partitionErrorCode: 0,
          leader: 1,
          replicas: [1],
          isr: [1],
        }));
        const message = { key: file.ip + file.path, value: "" };
        const expected = partitioner({ topic: "t", partitionMetadata, message });
        assert.equal(partitionFor(file, undefined, partitions), expected);
        assert.equal(partitionFor(new RecordedFile("other"), Buffer.from(message.key), partitions), expected);
        if (partitions === 7) used.add(expected);
      }
    }
    assert.equal(used.size, 7);
  });
});
