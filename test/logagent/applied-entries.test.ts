import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { APPLIED_ENTRIES_MAX, AppliedEntries } from "../../logagent/checkpoint/applied-entries.ts";

suite("AppliedEntries", () => {
  test("mark() forgets the entry that was applied longest ago, when there are too many", () => {
    const applied = new AppliedEntries(new Map());
    for (let i = 0; i < APPLIED_ENTRIES_MAX; i += 1) applied.mark(`/${i}`, i);
    applied.mark("/0", APPLIED_ENTRIES_MAX);
    assert.equal(applied.all().size, APPLIED_ENTRIES_MAX);
    applied.mark("/new", APPLIED_ENTRIES_MAX + 1);
    assert.equal(applied.all().size, APPLIED_ENTRIES_MAX);
    assert.deepEqual(
      ["/0", "/1", "/2", "/new"].map((path) => applied.has(path)),
      [true, false, true, true],
    );
  });

  test("the oldest are forgotten first, in whatever order they were kept", () => {
    const applied = new AppliedEntries(
      new Map(Array.from({ length: APPLIED_ENTRIES_MAX }, (_, i) => [`/${i}`, APPLIED_ENTRIES_MAX - i])),
    );
    applied.mark("/new", APPLIED_ENTRIES_MAX + 1);
    assert.equal(applied.has(`/${APPLIED_ENTRIES_MAX - 1}`), false);
    assert.equal(applied.has("/0"), true);
  });

  test("all() stays as it was when an entry is applied later", () => {
    const applied = new AppliedEntries(new Map([["/a", 1]]));
    const before = applied.all();
    applied.mark("/a", 2);
    assert.deepEqual([before.get("/a"), applied.atMs("/a")], [1, 2]);
  });
});
