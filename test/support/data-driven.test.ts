import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDataDriven } from "./data-driven.ts";

const TEXT = `# A comment.
add-nodes 3 voters=(1, 2,3) index=10 quiet= expr=(a(b,c), d)
----
ok

propose 1 \\
  foo
l2 v3

----
line 1
  line 2


status
----
----
first

third
----
----

last
----
`;

test("parseDataDriven() reads commands, arguments, input and output", () => {
  const [add, propose, status, last, ...more] = parseDataDriven(TEXT);
  assert.deepEqual(more, []);
  assert.deepEqual(add, {
    line: 2,
    command: "add-nodes",
    args: [
      { key: "3", values: [] },
      { key: "voters", values: ["1", "2", "3"] },
      { key: "index", values: ["10"] },
      { key: "quiet", values: [""] },
      { key: "expr", values: ["a(b,c)", "d"] },
    ],
    input: "",
    expected: "ok\n",
  });
  assert.deepEqual(propose, {
    line: 6,
    command: "propose",
    args: [
      { key: "1", values: [] },
      { key: "foo", values: [] },
    ],
    input: "l2 v3",
    expected: "line 1\n  line 2\n",
  });
  assert.equal(status?.expected, "first\n\nthird\n");
  assert.equal(last?.expected, "");
});

test("parseDataDriven() refuses what it does not read", () => {
  assert.throws(() => parseDataDriven("propose 1 foo\n"), /has a separator/);
  assert.throws(
    () => parseDataDriven("add-nodes voters=(1,2\n----\n"),
    /line 1: a parenthesis is not closed/,
  );
});
