import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import {
  type ConfChange,
  type ConfChangeTransition,
  decodeConfChange,
  encodeConfChange,
  entersJoint,
  leavesJoint,
  type SingleChangeKind,
} from "../../../store/raft/conf-change.ts";
import { parseChanges } from "./scripts/changes.ts";

const NOTHING = new Uint8Array(0);
const change = (transition: ConfChangeTransition, changes: string, context = NOTHING): ConfChange => ({
  transition,
  changes: parseChanges(changes),
  context,
});
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
const ECONFCHANGE = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && "code" in error);
  assert.equal(error.code, "ECONFCHANGE");
  assert.match(error.message, message);
  return true;
};

suite("ConfChange", () => {
  test("encodeConfChange() writes version, transition, changes and context", () => {
    assert.deepEqual(
      encodeConfChange(change("jointExplicit", "v1 l258 r3 u18446744073709551615", bytes("aa bb"))),
      bytes(`01 02 0400
        00 0100000000000000
        01 0201000000000000
        02 0300000000000000
        03 ffffffffffffffff
        aabb`),
    );
  });

  test("encodeConfChange() writes nothing to leave a joint configuration, unless there is a context", () => {
    assert.equal(encodeConfChange(change("auto", "")).length, 0);
    assert.deepEqual(encodeConfChange(change("auto", "", bytes("07"))), bytes("01 00 0000 07"));
    assert.deepEqual(encodeConfChange(change("jointImplicit", "")), bytes("01 01 0000"));
  });

  test("decodeConfChange() reads no bytes as leaving a joint configuration", () => {
    const read = decodeConfChange(NOTHING);
    assert.deepEqual(read, change("auto", ""));
    assert.equal(leavesJoint(read), true);
  });

  test("decodeConfChange() gives back what encodeConfChange() wrote, from the middle of a buffer too", () => {
    const someChange = fc
      .tuple(
        fc.constantFrom<ConfChangeTransition>("auto", "jointImplicit", "jointExplicit"),
        fc.array(
          fc
            .tuple(
              fc.constantFrom<SingleChangeKind>("addVoter", "addLearner", "remove", "update"),
              fc.bigInt(0n, 2n ** 64n - 1n),
            )
            .map(([kind, id]) => ({ kind, id })),
        ),
        fc.uint8Array({ maxLength: 40 }),
      )
      .map(([transition, changes, context]): ConfChange => ({ transition, changes, context }));
    fc.assert(
      fc.property(someChange, fc.nat(9), (written, offset) => {
        const encoded = encodeConfChange(written);
        const buffer = new Uint8Array(offset + encoded.length + 3).fill(0xee);
        buffer.set(encoded, offset);
        const read = decodeConfChange(buffer.subarray(offset, offset + encoded.length));
        assert.deepEqual({ ...read, context: Uint8Array.from(read.context) }, written);
      }),
      { seed: 13, numRuns: 300 },
    );
  });

  test("decodeConfChange() refuses what is no change, with ECONFCHANGE", () => {
    const refuses = (hex: string, message: RegExp) =>
      assert.throws(() => decodeConfChange(bytes(hex)), ECONFCHANGE(message));
    refuses("02 00 0000", /: version 2, expected 1$/);
    refuses("01", /: 1 bytes, expected 4 or more$/);
    refuses("01 00 00", /: 3 bytes, expected 4 or more$/);
    refuses("01 00 0200 00 0100000000000000 00", /: 14 bytes, expected 22 or more$/);
    refuses("01 03 0000", /: transition 3, expected at most 2$/);
    refuses("01 00 0100 04 0100000000000000", /: kind 4, expected at most 3$/);
  });

  test("decodeConfChange() throws nothing but ECONFCHANGE, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (data, isVersion1) => {
        if (isVersion1 && data.length > 0) data[0] = 1;
        try {
          decodeConfChange(data);
        } catch (error) {
          ECONFCHANGE(/^Cannot read a configuration change/)(error);
        }
      }),
      { seed: 14, numRuns: 500 },
    );
  });

  test("encodeConfChange() refuses more changes than its count holds", () => {
    const changes = Array.from({ length: 65536 }, () => ({ kind: "remove", id: 1n }) as const);
    const many = { transition: "auto", changes, context: NOTHING } as const;
    assert.throws(() => encodeConfChange(many), ECONFCHANGE(/65536 changes, at most 65535/));
  });

  test("entersJoint() for several changes or when asked for; left by itself unless asked otherwise", () => {
    assert.equal(entersJoint(change("auto", "")), undefined);
    assert.equal(entersJoint(change("auto", "v1")), undefined);
    assert.deepEqual(entersJoint(change("auto", "v1 v2")), { autoLeave: true });
    assert.deepEqual(entersJoint(change("jointImplicit", "")), { autoLeave: true });
    assert.deepEqual(entersJoint(change("jointImplicit", "v1")), { autoLeave: true });
    assert.deepEqual(entersJoint(change("jointExplicit", "")), { autoLeave: false });
    assert.deepEqual(entersJoint(change("jointExplicit", "v1 v2")), { autoLeave: false });
  });

  test("leavesJoint() for no changes with no wish for a joint configuration, whatever the context", () => {
    assert.equal(leavesJoint(change("auto", "", bytes("07"))), true);
    assert.equal(leavesJoint(change("auto", "v1")), false);
    assert.equal(leavesJoint(change("jointImplicit", "")), false);
    assert.equal(leavesJoint(change("jointExplicit", "")), false);
  });
});
