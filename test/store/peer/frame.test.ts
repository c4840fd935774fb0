import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { FieldWriter } from "../../../store/peer/field-writer.ts";
import {
  encodeFrame,
  FRAME_PAYLOAD_BYTES_MAX,
  FRAME_TYPE,
  FrameDecoder,
  type FrameType,
  writeFrame,
} from "../../../store/peer/frame.ts";
import { PeerError } from "../../../store/peer/peer-error.ts";

const BYTES_MAX = 1_000;
const types = Object.values(FRAME_TYPE);

interface Plain {
  readonly type: FrameType;
  readonly body: Buffer;
}

const frame: fc.Arbitrary<Plain> = fc
  .tuple(fc.constantFrom(...types), fc.uint8Array({ maxLength: BYTES_MAX - 1 }))
  .map(([type, bytes]) => ({ type, body: Buffer.from(bytes) }));

function encodeAll(frames: readonly Plain[]): Buffer {
  const target = new FieldWriter();
  for (const { type, body } of frames) writeFrame(target, type, (fields) => fields.bytes(body));
  return target.take();
}

/** Cuts bytes into chunks of the given lengths, over and over. */
function* chunksOf(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? 1;
    yield Buffer.from(bytes.subarray(at, at + length));
    at += length;
  }
}

/** All frames that are found, and the code of the error behind them. */
function decodeAll(
  chunks: Iterable<Buffer>,
  bytesMax = BYTES_MAX,
): { readonly frames: Plain[]; readonly error?: string } {
  const decoder = new FrameDecoder(bytesMax);
  const frames: Plain[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    try {
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) frames.push(next as Plain);
    } catch (error) {
      assert.ok(error instanceof PeerError, `${String(error)} is a PeerError`);
      return { frames, error: error.code };
    }
  }
  return { frames };
}

suite("frames", () => {
  test("FrameDecoder finds every frame, however its bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 10 }),
        (frames, lengths) => {
          assert.deepEqual(decodeAll(chunksOf(encodeAll(frames), lengths)), { frames });
        },
      ),
      { numRuns: 300 },
    );
  });

  test("FrameDecoder finds the largest frames among small ones", () => {
    const small = { type: FRAME_TYPE.ping, body: Buffer.from("small") };
    const large = [65_527, 300_000, FRAME_PAYLOAD_BYTES_MAX - 1].map((length, index) => ({
      type: FRAME_TYPE.message,
      body: Buffer.alloc(length, `${index}-`),
    }));
    const frames = [small, ...large, small, small, ...large.slice(1), small];
    for (const lengths of [[65_536], [700_001, 3], [10_000_000], [1, 1_500_000]]) {
      const { frames: found, error } = decodeAll(
        chunksOf(encodeAll(frames), lengths),
        FRAME_PAYLOAD_BYTES_MAX,
      );
      assert.equal(error, undefined);
      assert.equal(found.length, frames.length, `${lengths}`);
      for (const [index, { type, body }] of frames.entries()) {
        assert.ok(found[index]?.type === type && found[index].body.equals(body), `frame ${index}`);
      }
    }
  });

  test("FrameDecoder finds frames in single bytes", () => {
    const frames = types.map((type) => ({ type, body: Buffer.alloc(type * 50, type) }));
    assert.deepEqual(decodeAll(chunksOf(encodeAll(frames), [1])), { frames });
  });

  test("FrameDecoder finds what is whole before the end of what is cut off", () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), fc.nat(), (frames, cut) => {
        const bytes = encodeAll(frames);
        const length = cut % bytes.length;
        let whole = 0;
        for (let at = 0; at + 9 + (frames[whole]?.body.length ?? 0) <= length; whole += 1) {
          at += 9 + (frames[whole]?.body.length ?? 0);
        }
        assert.deepEqual(decodeAll([bytes.subarray(0, length)]), { frames: frames.slice(0, whole) });
      }),
      { numRuns: 300 },
    );
  });

  test("FrameDecoder never gives out a frame in which a bit is flipped", () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 4 }), fc.nat(), (frames, flip) => {
        const bytes = encodeAll(frames);
        bytes[(flip >> 3) % bytes.length]! ^= 1 << (flip & 7);
        const found = decodeAll([bytes]).frames;
        assert.ok(found.length < frames.length);
        assert.deepEqual(found, frames.slice(0, found.length));
      }),
      { numRuns: 2_000 },
    );
  });

  test("FrameDecoder waits for more, or refuses, whatever garbage it is given", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 200 }), (garbage) => {
        const { frames, error } = decodeAll([Buffer.from(garbage)]);
        assert.deepEqual(frames, []);
        assert.ok(error === undefined || error === "EPEERFRAME");
      }),
      { numRuns: 2_000 },
    );
  });

  test("FrameDecoder refuses a length as soon as it is there, and holds no more than came", () => {
    const decoder = new FrameDecoder(BYTES_MAX);
    decoder.push(
      encodeFrame(FRAME_TYPE.message, (target) => target.bytes(Buffer.alloc(BYTES_MAX))).subarray(0, 8),
    );
    assert.throws(() => decoder.next(), {
      code: "EPEERFRAME",
      message: "Cannot read frame: expected a length from 1 to 1000, not 1001",
    });
    assert.equal(decoder.heldBytes, 8);
  });

  test("FrameDecoder takes longer frames once it is told to", () => {
    const decoder = new FrameDecoder(BYTES_MAX);
    decoder.payloadBytesMax = 2 * BYTES_MAX;
    decoder.push(encodeFrame(FRAME_TYPE.message, (target) => target.bytes(Buffer.alloc(BYTES_MAX))));
    assert.equal(decoder.next()?.body.length, BYTES_MAX);
  });

  test("FieldWriter.take() gives memory that later frames do not touch", () => {
    const target = new FieldWriter();
    const taken = [10, 70_000, 20].map((bytes) => {
      writeFrame(target, FRAME_TYPE.message, (fields) => fields.bytes(Buffer.alloc(bytes, bytes)));
      return target.take();
    });
    const copies = taken.map((bytes) => Buffer.from(bytes));
    writeFrame(target, FRAME_TYPE.message, (fields) => fields.bytes(Buffer.alloc(200_000, 9)));
    assert.deepEqual(taken, copies);
  });
});
