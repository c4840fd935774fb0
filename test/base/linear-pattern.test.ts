import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import {
  compilePattern,
  PATTERN_CHARACTERS_MAX,
  PATTERN_STEPS_MAX,
  patternProblem,
} from "../../base/linear-pattern.ts";

const matchesOf = (text: string, bytes: Uint8Array, max = 100): [number, number][] => {
  const found: [number, number][] = [];
  compilePattern(text).forEachMatch(bytes, max, (from, to) => found.push([from, to]));
  return found;
};

suite("compilePattern()", () => {
  for (const [pattern, problem] of [
    ["(", "missing closing ) at character 2"],
    ["a(b", "missing closing ) at character 4"],
    ["[a", "missing closing ] at character 3"],
    ["(a)b)", "unexpected ) at character 5"],
    ["a{2}b{2,1}", "invalid repeat count at character 6"],
    ["a**", "invalid nested repetition operator at character 2"],
    ["ab(?!c)", "invalid or unsupported Perl syntax at character 3"],
    ["(a)\\1", "invalid escape sequence at character 4"],
    ["x\\", "trailing backslash at end of expression at character 3"],
    ["(?P<n>a)(?P<n>b)", "duplicate capture group name at character 14"],
  ] as const) {
    test(`says what is wrong with ${pattern}, and where`, () => {
      assert.equal(patternProblem(pattern), problem);
      assert.throws(() => compilePattern(pattern), {
        code: "EBADPATTERN",
        message: `Cannot compile pattern: ${problem}`,
      });
    });
  }

  test("refuses patterns that are long, or make long programs", () => {
    const long = "a".repeat(PATTERN_CHARACTERS_MAX + 1);
    assert.equal(patternProblem(long), "it has 1025 characters, expected 1024 or less");
    assert.match(patternProblem("[ab]{0,900}") ?? "", /^it compiles to \d+ steps, expected 500 or less$/);
    assert.equal(patternProblem("a".repeat(PATTERN_STEPS_MAX - 10)), undefined);
  });

  test("gives the same pattern for the same text, of the last few hundred", () => {
    const first = compilePattern("the first");
    assert.equal(compilePattern("the first"), first);
    for (let i = 0; i < 300; i++) compilePattern(`another ${i}`);
    assert.notEqual(compilePattern("the first"), first);
  });
});

suite("LinearPattern", () => {
  test("test() looks at bytes as they are", () => {
    const bytes = Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0x00, 0x62]);
    assert.ok(compilePattern("é").test(bytes));
    assert.ok(compilePattern("^a.é\\x00b$").test(bytes));
    assert.ok(!compilePattern("ÿ").test(bytes));
    assert.ok(compilePattern("x").test(Buffer.from("axb").subarray(1, 2)));
    assert.ok(!compilePattern("a|b").test(Buffer.from("axb").subarray(1, 2)));
  });

  test("forEachMatch() gives byte ranges, at most so many", () => {
    assert.deepEqual(matchesOf("[^a]", Buffer.from([0x61, 0xff, 0x62, 0xc3, 0xa9])), [
      [1, 2],
      [2, 3],
      [3, 5],
    ]);
    assert.deepEqual(matchesOf("x*", Buffer.from("axb")), [
      [0, 0],
      [1, 2],
      [2, 2],
      [3, 3],
    ]);
    assert.deepEqual(matchesOf("a", Buffer.from("aaaa"), 2), [
      [0, 1],
      [1, 2],
    ]);
  });

  test("agrees with RegExp where both have a meaning", () => {
    const atom = fc.constantFrom(
      "a",
      "b",
      ".",
      "[ab]",
      "[^a]",
      "\\d",
      "(a|b)",
      "(ab)",
      "\\s",
      "^",
      "$",
      "\\b",
    );
    const times = fc.constantFrom("", "", "*", "+", "?", "{1,3}", "*?");
    const pattern = fc
      .array(fc.tuple(atom, times), { minLength: 1, maxLength: 5 })
      .map((parts) =>
        parts.map(([one, many]) => (["^", "$", "\\b"].includes(one) ? one : one + many)).join(""),
      );
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "1", " "), maxLength: 12 });
    fc.assert(
      fc.property(pattern, text, (source, line) => {
        const expected = [...line.matchAll(new RegExp(source, "g"))].filter(([found]) => found !== "");
        const found = matchesOf(source, Buffer.from(line)).filter(([from, to]) => from < to);
        assert.equal(compilePattern(source).test(Buffer.from(line)), new RegExp(source).test(line));
        // With empty matches between them the two go on at different places.
        if (new RegExp(`^(?:${source})$`).test("")) return;
        assert.deepEqual(
          found.map(([from, to]) => line.slice(from, to)),
          expected.map(([match]) => match),
        );
      }),
      { numRuns: 2000 },
    );
  });
});
