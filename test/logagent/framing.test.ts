import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { findLines, NEWLINE_BYTES_MAX } from "../../logagent/framing/find-lines.ts";

/** Searches as the reader does: in a buffer of `capacity`, from where the last search ended. */
function frame(
  text: string,
  options: {
    readonly max?: number;
    readonly capacity?: number;
    readonly room?: number;
    readonly final?: boolean;
  } = {},
): { lines: string[]; to: number; cuts: number; offsets: number[] } {
  const { max = 1024, capacity = 4096, room = 8, final = false } = options;
  const file = Buffer.from(text, "latin1");
  const bytes = Buffer.alloc(capacity, "\n");
  const starts = new Uint32Array(room);
  const ends = new Uint32Array(room);
  const result = { lines: [] as string[], to: 0, cuts: 0, offsets: [] as number[] };
  for (let base = 0; ; base = result.to) {
    const end = file.copy(bytes, 0, base);
    const isLast = final && base + end === file.byteLength;
    const found = findLines({ bytes, from: 0, end, lineBytesMax: max, final: isLast, starts, ends });
    if (found.count === 0) return result;
    for (let i = 0; i < found.count; i++) {
      result.lines.push(bytes.subarray(starts[i], ends[i]).toString("latin1"));
      result.offsets.push(base + (starts[i] as number));
    }
    result.cuts += found.cuts;
    result.to = base + found.to;
  }
}

suite("findLines()", () => {
  test("finds lines without their \\n or \\r\\n, and leaves an unfinished one", () => {
    assert.deepEqual(frame("one\ntwo\r\n\n\r\nrest"), {
      lines: ["one", "two", "", ""],
      offsets: [0, 4, 9, 10],
      to: 12,
      cuts: 0,
    });
  });

  test("keeps a \\r that no \\n follows", () => {
    assert.deepEqual(frame("a\rb\nc\r", { final: true }).lines, ["a\rb", "c\r"]);
  });

  test("ships what is left as a line when the file is final", () => {
    assert.deepEqual(frame("one\ntwo", { final: true }).lines, ["one", "two"]);
    assert.deepEqual(frame("one\n", { final: true }).lines, ["one"]);
    assert.deepEqual(frame("", { final: true }).lines, []);
  });

  test("stops when the spans are full, and goes on from there", () => {
    const text = "a\nb\nc\nd\ne\n";
    assert.deepEqual(frame(text, { room: 2 }).lines, ["a", "b", "c", "d", "e"]);
  });

  test("cuts a line longer than lineBytesMax, also before its newline is there", () => {
    assert.deepEqual(frame("abcdefghij\nk\n", { max: 4 }), {
      lines: ["abcd", "efgh", "ij", "k"],
      offsets: [0, 4, 8, 11],
      to: 13,
      cuts: 2,
    });
    assert.deepEqual(frame("abcdefghij", { max: 4 }).lines, ["abcd", "efgh"]);
    assert.deepEqual(frame("abcdefghij", { max: 4, final: true }).lines, ["abcd", "efgh", "ij"]);
  });

  test("does not cut a line of lineBytesMax with either newline", () => {
    assert.deepEqual(frame("abcd\nabcd\r\nabcd", { max: 4 }), {
      lines: ["abcd", "abcd"],
      offsets: [0, 5],
      to: 11,
      cuts: 0,
    });
    assert.deepEqual(frame("abcd\r", { max: 4 }).lines, []);
    assert.deepEqual(frame("abcd\rx", { max: 4 }).lines, ["abcd"]);
  });

  test("finds the same lines however the file comes in", () => {
    const piece = fc.constantFrom("a", "bc", "\n", "\r\n", "\r", "\0", "\n\n", "defghijk");
    const property = fc.property(
      fc.array(piece, { maxLength: 40 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      (pieces, max, extra, room, final) => {
        const text = pieces.join("");
        const whole = frame(text, { max, final, room: 100 });
        const capacity = max + NEWLINE_BYTES_MAX + extra;
        assert.deepEqual(frame(text, { max, capacity, room, final }), whole);
        // Nothing is left out: every byte is in a line or in a newline behind one.
        const ends = whole.offsets.map((offset, i) => offset + (whole.lines[i]?.length ?? 0));
        const between = [...ends.keys()].map((i) => text.slice(ends[i], whole.offsets[i + 1] ?? whole.to));
        assert.ok(between.every((gap) => gap === "" || gap === "\n" || gap === "\r\n"));
        assert.ok(whole.lines.every((line) => line.length <= max));
        if (final) assert.equal(whole.to, text.length);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });
});
