import { CodedError } from "../../../base/errors.ts";

/** What became of one partition's batch. */
export interface PartitionResult {
  readonly topic: string;
  readonly partition: number;
  /** 0 is success. */
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

export interface ProduceResponse {
  readonly results: readonly PartitionResult[];
  /** How long the broker asks to be left alone. */
  readonly throttleTimeMs: number;
}

/**
 * Decodes the body of a Produce response (version 9), `frame` being everything behind the correlation id. Throws CodedError
 * "EKAFKAFRAME" when it is cut short.
 *
 *     tags · [topic [partition, error code, base offset, log append time, log start offset, [record errors], message, tags]
 *     tags] · throttle time · tags
 */
export function decodeProduceResponse(frame: Buffer): ProduceResponse {
  const reader = new FlexibleReader(frame);
  const results: PartitionResult[] = [];
  reader.skipTags();
  for (let topics = reader.arrayLength(); topics > 0; topics--) {
    const topic = reader.string() ?? "";
    for (let partitions = reader.arrayLength(); partitions > 0; partitions--) {
      const partition = reader.int32();
      const errorCode = reader.int16();
      reader.skip(3 * 8);
      let recordMessage: string | null = null;
      for (let errors = reader.arrayLength(); errors > 0; errors--) {
        reader.skip(4);
        recordMessage ??= reader.string();
        reader.skipTags();
      }
      const errorMessage = reader.string() ?? recordMessage;
      reader.skipTags();
      results.push({ topic, partition, errorCode, errorMessage });
    }
    reader.skipTags();
  }
  return { results, throttleTimeMs: reader.int32() };
}

/** Fields of a response with compact lengths and tags (KIP-482). */
class FlexibleReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.skip(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.skip(4));
  }

  unsignedVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.skip(1));
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new CodedError("EKAFKAFRAME", "Cannot decode a Produce response: a varint has more than 5 bytes");
  }

  arrayLength(): number {
    return Math.max(0, this.unsignedVarint() - 1);
  }

  string(): string | null {
    const length = this.unsignedVarint() - 1;
    if (length < 0) return null;
    const at = this.skip(length);
    return this.#bytes.toString("utf8", at, at + length);
  }

  skipTags(): void {
    for (let tags = this.unsignedVarint(); tags > 0; tags--) {
      this.unsignedVarint();
      this.skip(this.unsignedVarint());
    }
  }

  /** Returns the position before the skipped bytes. */
  skip(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) {
      throw new CodedError(
        "EKAFKAFRAME",
        `Cannot decode a Produce response: it ends at ${this.#bytes.length}, expected ${at + bytes} bytes or more`,
      );
    }
    this.#at = at + bytes;
    return at;
  }
}
