import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { InvariantError } from "../../../base/invariant.ts";
import { FieldWriter } from "../../../store/peer/field-writer.ts";
import { FRAME_HEADER_BYTES, FRAME_TYPE, type Frame, FrameDecoder } from "../../../store/peer/frame.ts";
import { MessageAssembler } from "../../../store/peer/message-assembler.ts";
import {
  decodeMessage,
  type EntryMessage,
  encodedBytes,
  encodeMessage,
} from "../../../store/peer/message-codec.ts";
import { MessageParts, PART_HEADER_BYTES } from "../../../store/peer/message-parts.ts";
import { PeerError } from "../../../store/peer/peer-error.ts";
import { messageOf } from "./arbitrary-message.ts";
import { append } from "./peer-bed.ts";

const MESSAGE_BYTES_MAX = 1_000_000;
const PART_BYTES = 64;
/** A failure prints seed and path of its own input. */
const RUNS = { seed: 11, numRuns: 300 };

const entryMessage = fc.oneof(messageOf("append"), messageOf("propose")) as fc.Arbitrary<EntryMessage>;

function encode(message: EntryMessage): Buffer {
  const target = new FieldWriter();
  encodeMessage(message, target);
  return target.take();
}

/** All frames of a message. */
function partsOf(message: EntryMessage, partBytes: number): Buffer[] {
  const parts = new MessageParts(message, { partBytes });
  const frames: Buffer[] = [];
  while (parts.remainingBytes > 0) frames.push(parts.next());
  return frames;
}

function bodyOf(frame: Buffer): Buffer {
  return frame.subarray(FRAME_HEADER_BYTES + 1);
}

/** A part's body, as no sender would make it perhaps. */
function part({ total, at, bytes }: { total: number; at: number; bytes: number }): Buffer {
  const target = new FieldWriter();
  target.safeUint64(total);
  target.safeUint64(at);
  target.bytes(Buffer.alloc(bytes, 7));
  return target.take();
}

suite("MessageParts", () => {
  test("next() gives what encodeMessage() writes, for sizes around the parts' ends", () => {
    for (let bytes = 0; bytes <= 3 * PART_BYTES; bytes += 1) {
      for (const message of [append(1n, 2n, 5, bytes), twoEntries(bytes)]) {
        const bodies = partsOf(message, PART_BYTES).map(bodyOf);
        const whole = Buffer.concat(bodies.map((body) => body.subarray(PART_HEADER_BYTES)));
        assert.deepEqual(whole, encode(message), `${bytes} bytes`);
        assert.equal(whole.length, encodedBytes(message));
        const lengths = bodies.map((body) => body.length - PART_HEADER_BYTES);
        assert.ok(
          lengths.every((length) => length > 0 && length <= PART_BYTES),
          `${lengths}`,
        );
      }
    }
  });

  test("next() gives memory that later parts do not touch", () => {
    const partBytes = 100_000;
    const frames = partsOf(append(1n, 2n, 1, 350_000), partBytes);
    const copies = frames.map((frame) => Buffer.from(frame));
    partsOf(append(1n, 2n, 2, 350_000), partBytes);
    assert.deepEqual(frames, copies);
    assert.equal(frames.length, 4);
    // No more is held by a frame than what leaves.
    for (const frame of frames.slice(0, -1)) assert.equal(frame.buffer.byteLength, frame.length);
  });

  test("encodedBytes() is what encodeMessage() writes", () => {
    fc.assert(
      fc.property(entryMessage, (message) => {
        assert.equal(encodedBytes(message), encode(message).length);
      }),
      RUNS,
    );
  });

  test("next() trips behind the last part", () => {
    const parts = new MessageParts(append(1n, 2n, 1, 0), { partBytes: 1_000 });
    parts.next();
    assert.throws(() => parts.next(), InvariantError);
  });
});

suite("MessageAssembler", () => {
  test("add() gives back every message, however it is parted and its frames are cut", () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 10 });
    const partBytes = fc.integer({ min: PART_BYTES, max: 2_000 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(entryMessage, partBytes), { minLength: 1, maxLength: 5 }),
        lengths,
        (sent, chunkLengths) => {
          const bytes = Buffer.concat(sent.flatMap(([message, size]) => partsOf(message, size)));
          const assembler = new MessageAssembler({ messageBytesMax: MESSAGE_BYTES_MAX });
          const received = framesIn(bytes, chunkLengths).flatMap(({ type, body }) => {
            assert.equal(type, FRAME_TYPE.messagePart);
            const whole = assembler.add(body);
            return whole === undefined ? [] : [decodeMessage(whole)];
          });
          assert.deepEqual(
            received,
            sent.map(([message]) => message),
          );
          assert.equal(assembler.heldBytes, 0);
        },
      ),
      RUNS,
    );
  });

  const started = part({ total: 100, at: 0, bytes: 40 });
  const refused: [string, Buffer[], string][] = [
    ["without a start", [part({ total: 100, at: 40, bytes: 10 })], "expected the bytes at 0, not at 40"],
    ["with two starts", [started, started], "expected the bytes at 40, not at 0"],
    [
      "with a part left out",
      [started, part({ total: 100, at: 50, bytes: 50 })],
      "expected the bytes at 40, not at 50",
    ],
    [
      "with a part of another",
      [started, part({ total: 101, at: 40, bytes: 61 })],
      "expected it to belong to 100 bytes, not 101",
    ],
    [
      "that goes on too long",
      [started, part({ total: 100, at: 40, bytes: 61 })],
      "expected at most 60 bytes at byte 40, not 61",
    ],
    ["of no bytes", [part({ total: 0, at: 0, bytes: 1 })], "expected at most 0 bytes at byte 0, not 1"],
    [
      "with a part of no bytes",
      [part({ total: 100, at: 0, bytes: 0 })],
      "expected more than 16 bytes, not 16",
    ],
    ["whose part is cut off", [started.subarray(0, 7)], "expected more than 16 bytes, not 7"],
    [
      "that is too long",
      [part({ total: MESSAGE_BYTES_MAX + 1, at: 0, bytes: 1 })],
      "expected a message of at most 1000000 bytes, not 1000001",
    ],
  ];
  for (const [name, bodies, reason] of refused) {
    test(`add() refuses a message ${name}`, () => {
      const assembler = new MessageAssembler({ messageBytesMax: MESSAGE_BYTES_MAX });
      for (const body of bodies.slice(0, -1)) assert.equal(assembler.add(body), undefined);
      const held = assembler.heldBytes;
      assert.throws(() => assembler.add(bodies.at(-1) ?? Buffer.alloc(0)), {
        code: "EPEERFRAME",
        message: `Cannot use part of a message: ${reason}`,
      });
      assert.ok(assembler.heldBytes <= held, "nothing is taken for what is refused");
    });
  }

  test("add() takes or refuses garbage, and never holds more than the longest message", () => {
    const numbers = fc.oneof(fc.nat(200), fc.maxSafeNat());
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc.record({ total: numbers, at: fc.oneof(fc.constant(0), numbers), bytes: fc.nat(60) }).map(part),
    );
    fc.assert(
      fc.property(fc.array(garbage, { maxLength: 30 }), (bodies) => {
        const assembler = new MessageAssembler({ messageBytesMax: 150 });
        for (const body of bodies) {
          try {
            const whole = assembler.add(body);
            assert.ok(whole === undefined || whole.length <= 150);
          } catch (error) {
            assert.ok(error instanceof PeerError, `${String(error)} is a PeerError`);
            assert.match(error.code, /^EPEER(FRAME|MESSAGE)$/);
          }
          assert.ok(assembler.heldBytes <= 150);
        }
      }),
      { ...RUNS, numRuns: 2_000 },
    );
  });
});

/** The second entry's start falls everywhere around the end of a part. */
function twoEntries(bytes: number): EntryMessage {
  const first = append(1n, 2n, 5, bytes);
  const { entries } = append(1n, 2n, 6, 30);
  return { ...first, entries: [...first.entries, ...entries] };
}

function framesIn(bytes: Buffer, lengths: readonly number[]): Frame[] {
  const decoder = new FrameDecoder(MESSAGE_BYTES_MAX);
  const frames: Frame[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? 1;
    decoder.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) frames.push(next);
  }
  return frames;
}
