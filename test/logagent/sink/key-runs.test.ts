import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LineSpans, PartMark } from "../../../logagent/framing/types.ts";
import { keyRuns } from "../../../logagent/sink/key-runs.ts";
import { spansOf } from "./recorded-file.ts";

interface Line {
  readonly text: string;
  readonly key: string | undefined;
  readonly isPart: boolean;
}

const KEYS = ["a", "b", undefined];
const line: fc.Arbitrary<Line> = fc.record({
  text: fc.string({ maxLength: 5 }),
  key: fc.constantFrom(...KEYS),
  isPart: fc.boolean(),
});

const linesOf = ({ bytes, starts, ends, count, base, parts = [], positions = starts }: LineSpans) =>
  Array.from({ length: count }, (_, i) => ({
    value: bytes.subarray(starts[i], ends[i]).toString(),
    at: base + (positions[i] ?? 0),
    part: parts.find(({ record }) => record === i)?.part,
  }));

test("keyRuns() gives each line once, with its key, and accounts for each byte once", () => {
  const property = fc.property(
    fc.array(line, { minLength: 1, maxLength: 12 }),
    fc.boolean(),
    (lines, isCopy) => {
      const plain = spansOf(
        lines.map(({ text }) => text),
        1_000,
      );
      const parts: PartMark[] = lines.flatMap(({ isPart }, record) =>
        isPart ? [{ record, part: record + 1, isLast: false, of: "line" }] : [],
      );
      const spans: LineSpans = {
        ...plain,
        parts,
        keys: lines.map(({ key }) => (key === undefined ? key : Buffer.from(key))),
        ...(isCopy ? { positions: plain.starts.slice() } : {}),
        from: plain.from - 7,
        to: plain.to + 7,
      };
      const runs = keyRuns(spans);
      assert.deepEqual(
        runs.flatMap((run) => linesOf(run.spans)),
        linesOf(spans),
      );
      const keys = runs.flatMap(({ key, spans: { count } }) =>
        Array.from({ length: count }, () => key?.toString()),
      );
      assert.deepEqual(
        keys,
        lines.map(({ key }) => key),
      );
      let end = spans.from;
      for (const run of runs) {
        assert.equal(run.spans.from, end);
        assert.deepEqual(run.spans.keys, run.key);
        end = run.spans.to;
      }
      assert.equal(end, spans.to);
    },
  );
  fc.assert(property);
});

test("keyRuns() leaves lines as they are that have one key, or none", () => {
  const spans = spansOf(["a", "b"]);
  assert.deepEqual(keyRuns(spans), [{ spans, key: undefined }]);
  const keyed = { ...spans, keys: Buffer.from("k") };
  assert.deepEqual(keyRuns(keyed), [{ spans: keyed, key: keyed.keys }]);
});

test("keyRuns() goes over the marks of parts once, however many runs there are", () => {
  const count = 1_000;
  const plain = spansOf(Array.from({ length: count }, () => "x"));
  let reads = 0;
  const parts = Array.from({ length: count }, (_, record) => ({
    get record() {
      reads += 1;
      return record;
    },
    part: 2,
    isLast: false,
    of: "line" as const,
  }));
  const keys = Array.from({ length: count }, (_, i) => Buffer.from(i % 2 === 0 ? "a" : "b"));
  assert.equal(keyRuns({ ...plain, parts, keys }).length, count);
  assert.ok(reads <= 5 * count, `${reads} looks at ${count} marks`);
});
