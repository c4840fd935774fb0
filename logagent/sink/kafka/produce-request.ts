import { unsignedVarintBytes, writeUnsignedVarint } from "./varint.ts";

const API_KEY = 0;
/** Flexible, and known to every broker since Kafka 2.8. */
const API_VERSION = 9;
const ACKS_ALL = -1;
const NO_TAGS = 0;

/** A sealed batch and where it goes. */
export interface PartitionBatch {
  readonly topic: string;
  readonly partition: number;
  readonly header: Buffer;
  readonly records: Buffer;
}

/**
 * A Produce request (version 9, acks=all) as the buffers to be written one after another: the batches' own memory, and the
 * bytes between them. At most one batch for each partition.
 *
 *     size · api key · version · correlation id · client id · tags · transactional id null · acks · timeout ·
 *     [topic [partition, records, tags] tags] tags
 */
export function encodeProduceRequest(request: {
  readonly correlationId: number;
  readonly clientId: string;
  readonly timeoutMs: number;
  readonly batches: readonly PartitionBatch[];
}): { readonly buffers: readonly Buffer[]; readonly bytes: number } {
  const topics = Map.groupBy(request.batches, (batch) => batch.topic);
  const clientId = Buffer.from(request.clientId);
  const buffers: Buffer[] = [];
  const head = Buffer.alloc(
    4 + 2 + 2 + 4 + 2 + clientId.length + 1 + 1 + 2 + 4 + unsignedVarintBytes(topics.size + 1),
  );
  head.writeInt16BE(API_KEY, 4);
  head.writeInt16BE(API_VERSION, 6);
  head.writeInt32BE(request.correlationId, 8);
  head.writeInt16BE(clientId.length, 12);
  let at = 14 + clientId.copy(head, 14);
  at += 2; // no tags; no transactional id
  at = head.writeInt16BE(ACKS_ALL, at);
  at = head.writeInt32BE(request.timeoutMs, at);
  writeUnsignedVarint(head, at, topics.size + 1);
  buffers.push(head);
  for (const [topic, batches] of topics) {
    buffers.push(topicHead(topic, batches.length));
    for (const batch of batches) {
      buffers.push(partitionHead(batch), batch.header, batch.records, TAGS);
    }
    buffers.push(TAGS);
  }
  buffers.push(TAGS);
  const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  head.writeInt32BE(bytes - 4, 0);
  return { buffers, bytes };
}

const TAGS = Buffer.of(NO_TAGS);

function topicHead(topic: string, partitions: number): Buffer {
  const name = Buffer.from(topic);
  const nameBytes = unsignedVarintBytes(name.length + 1) + name.length;
  const head = Buffer.alloc(nameBytes + unsignedVarintBytes(partitions + 1));
  const at = writeUnsignedVarint(head, 0, name.length + 1);
  writeUnsignedVarint(head, at + name.copy(head, at), partitions + 1);
  return head;
}

function partitionHead(batch: PartitionBatch): Buffer {
  const recordsBytes = batch.header.length + batch.records.length;
  const head = Buffer.alloc(4 + unsignedVarintBytes(recordsBytes + 1));
  head.writeInt32BE(batch.partition, 0);
  writeUnsignedVarint(head, 4, recordsBytes + 1);
  return head;
}
