import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { InvariantError } from "../../../base/invariant.ts";
import { FieldWriter } from "../../../store/peer/field-writer.ts";
import { decodeMessage, encodeMessage } from "../../../store/peer/message-codec.ts";
import { PeerError } from "../../../store/peer/peer-error.ts";
import type { Message } from "../../../store/raft/message.ts";
import { anyMessage, messageKinds, messageOf } from "./arbitrary-message.ts";

/** fast-check prints seed and path of a failure. */
const RUNS = { numRuns: 300 };

function encode(message: Message): Buffer {
  const target = new FieldWriter();
  encodeMessage(message, target);
  return target.take();
}

/** Decodes, or tells that the bytes were refused as they should be. */
function decodeOrRefuse(bytes: Buffer): Message | "refused" {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    assert.ok(error instanceof PeerError, `${String(error)} is a PeerError`);
    assert.equal(error.code, "EPEERMESSAGE");
    assert.match(error.message, /^Cannot decode a peer's message: /);
    return "refused";
  }
}

suite("message codec", () => {
  for (const kind of messageKinds) {
    test(`decodeMessage() gives back an encoded ${kind}`, () => {
      fc.assert(
        fc.property(messageOf(kind), (message) => {
          assert.deepEqual(decodeMessage(encode(message)), message);
        }),
        RUNS,
      );
    });
  }

  test("decodeMessage() gives entries whose data are parts of its input", () => {
    const entry = { kind: "normal", term: 2, index: 8, data: Buffer.from("value") } as const;
    const prev = { term: 1, index: 7 };
    const bytes = encode({ kind: "append", from: 1n, to: 2n, term: 2, prev, entries: [entry], commit: 7 });
    const message = decodeMessage(bytes);
    assert.equal(message.kind === "append" && message.entries[0]?.data.buffer, bytes.buffer);
  });

  test("decodeMessage() refuses a message that is cut off, at every length", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = encode(message);
        // A proposal's data has no length of its own: cut off, it is another one; frames guard against that.
        const least =
          message.kind === "propose" ? bytes.length - message.entry.data.byteLength : bytes.length;
        for (let length = 0; length < least; length += 1) {
          assert.equal(decodeOrRefuse(bytes.subarray(0, length)), "refused");
        }
      }),
      { numRuns: 100 },
    );
  });

  test("decodeMessage() refuses bytes behind the end", () => {
    fc.assert(
      fc.property(
        anyMessage.filter(({ kind }) => kind !== "propose"),
        fc.uint8Array({ minLength: 1, maxLength: 20 }),
        (message, tail) => {
          assert.equal(decodeOrRefuse(Buffer.concat([encode(message), tail])), "refused");
        },
      ),
      RUNS,
    );
  });

  test("decodeMessage() takes or refuses what has bits flipped, and what it takes encodes to the same", () => {
    fc.assert(
      fc.property(anyMessage, fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), (message, flips) => {
        const bytes = encode(message);
        for (const flip of flips) bytes[(flip >> 3) % bytes.length]! ^= 1 << (flip & 7);
        const decoded = decodeOrRefuse(bytes);
        if (decoded !== "refused") assert.deepEqual(encode(decoded), bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  test("decodeMessage() takes or refuses garbage", () => {
    fc.assert(
      fc.property(fc.nat(20), fc.uint8Array({ maxLength: 400 }), (kind, garbage) => {
        const bytes = Buffer.concat([Buffer.of(kind), garbage]);
        const decoded = decodeOrRefuse(bytes);
        if (decoded !== "refused") assert.deepEqual(encode(decoded), bytes);
      }),
      { numRuns: 3_000 },
    );
  });

  test("decodeMessage() refuses counts that its input cannot hold", () => {
    const prev = { term: 1, index: 7 };
    const bytes = encode({ kind: "append", from: 1n, to: 2n, term: 2, prev, entries: [], commit: 7 });
    bytes.writeUInt32LE(0xffff_ffff, bytes.length - 4);
    assert.throws(() => decodeMessage(bytes), { message: /expected a count of at most 0, not 4294967295/ });
  });

  test("decodeMessage() refuses numbers above the safe integers", () => {
    const bytes = encode({ kind: "readIndexResponse", from: 1n, to: 2n, term: 2, context: 3n, index: 4 });
    bytes.writeBigUInt64LE(2n ** 53n, bytes.length - 8);
    assert.throws(() => decodeMessage(bytes), {
      message: /expected at most 9007199254740991 at byte 33, not 9007199254740992/,
    });
  });

  test("encodeMessage() trips over entries that do not follow each other", () => {
    const entry = { kind: "normal", term: 2, index: 9, data: Buffer.alloc(0) } as const;
    const prev = { term: 1, index: 7 };
    assert.throws(
      () => encode({ kind: "append", from: 1n, to: 2n, term: 2, prev, entries: [entry], commit: 7 }),
      InvariantError,
    );
  });
});
