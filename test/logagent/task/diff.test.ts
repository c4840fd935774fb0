import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Entry, entrySchema } from "../../../conf/collect-config.ts";
import { diffEntries, isSameEntry } from "../../../logagent/task/diff.ts";

const entry = (path: string, fields: Partial<Entry> = {}): Entry =>
  entrySchema.parse({ path, topic: "t", ...fields });

const rich = (fields: Readonly<Record<string, unknown>>): Entry =>
  entrySchema.parse({ path: "/a", topic: "t", ...fields });

suite("diffEntries()", () => {
  test("starts what is new and stops what is gone", () => {
    const [a, b, c] = [entry("/a"), entry("/b"), entry("/c")];
    assert.deepEqual(diffEntries([a, b], [b, c]), { start: [c], replace: [], stop: [a] });
  });

  test("does not touch unchanged entries, also when they stand in another order", () => {
    const running = [entry("/a"), entry("/b"), entry("/c")];
    assert.deepEqual(diffEntries(running, structuredClone(running).reverse()), {
      start: [],
      replace: [],
      stop: [],
    });
  });

  for (const change of [
    { topic: "u" },
    { from: "end" },
    { headers: false },
    { maxLineBytes: 4096 },
  ] as const) {
    test(`replaces an entry whose ${Object.keys(change)[0]} changed`, () => {
      const [from, to] = [entry("/a"), entry("/a", change)];
      assert.deepEqual(diffEntries([from], [to]), { start: [], replace: [{ from, to }], stop: [] });
    });
  }

  test("looks into the fields of an entry", () => {
    const rules = { redact: [{ pattern: "a" }], format: "json", fields: { a: "1", b: "2" } };
    const same = { redact: [{ pattern: "a" }], format: "json", fields: { b: "2", a: "1" } };
    assert.ok(isSameEntry(rich(rules), rich(same)));
    for (const change of [
      { redact: [{ pattern: "b" }] },
      { redact: [] },
      { redact: [{ pattern: "a" }, { pattern: "a" }] },
      { fields: { a: "1" } },
      { multiline: { preset: "go" } },
    ]) {
      assert.ok(!isSameEntry(rich(rules), rich({ ...rules, ...change })), JSON.stringify(change));
    }
  });

  test("turns any list into any other, touching nothing that is in both", () => {
    const list = fc.uniqueArray(
      fc.record({
        path: fc.constantFrom("/a", "/b", "/c", "/d", "/e"),
        topic: fc.constantFrom("t", "u"),
        headers: fc.boolean(),
      }),
      { selector: (one) => one.path },
    );
    fc.assert(
      fc.property(list, list, (before, after) => {
        const running = before.map((one) => entry(one.path, one));
        const desired = after.map((one) => entry(one.path, one));
        const diff = diffEntries(running, desired);
        const result = new Map(running.map((one) => [one.path, one]));
        for (const one of diff.stop) assert.ok(result.delete(one.path));
        for (const { from, to } of diff.replace) {
          assert.equal(result.get(from.path), from);
          assert.ok(!isSameEntry(from, to));
          result.set(to.path, to);
        }
        for (const one of diff.start) {
          assert.ok(!result.has(one.path));
          result.set(one.path, one);
        }
        const byPath = (a: Entry, b: Entry) => a.path.localeCompare(b.path);
        assert.deepEqual([...result.values()].sort(byPath), [...desired].sort(byPath));
      }),
    );
  });
});
