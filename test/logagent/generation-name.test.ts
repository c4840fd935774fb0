import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { compareMarks, namesBefore } from "../../logagent/source/generation-name.ts";

suite("namesBefore()", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["app.log.1", ["app.log"]],
    ["app.log-20261121", ["app.log"]],
    ["app.log.1.gz", ["app.log"]],
    ["app.log-20261121.zst", ["app.log"]],
    ["app.log.old", ["app.log"]],
    ["app-1.log", ["app.log"]],
    ["app.1.log.gz", ["app.log"]],
    ["app-2026-11-21.log", ["app-2026-11.log", "app-2026.log", "app.log"]],
    [
      "app.log.2026-11-21-10.3",
      ["app.log.2026-11-21-10", "app.log.2026-11-21", "app.log.2026-11", "app.log.2026", "app.log"],
    ],
    ["app.log", []],
    ["app.log.gz", []],
    ["app.log.bak", []],
    ["1.log", []],
    ["app.1b.log", []],
    ["app", []],
  ];
  for (const [name, expected] of cases) {
    test(`${name}: ${expected.join(", ") || "none"}`, () => {
      assert.deepEqual(
        namesBefore(`/var/log/${name}`).map(({ before }) => before),
        expected,
      );
    });
  }
});

suite("compareMarks()", () => {
  for (const [older, younger] of [
    ["2", "1"],
    ["10", "9"],
    ["20261120", "20261121"],
    ["2026-11-20", "2026-11-21"],
    ["2026-11-21-10.3", "2026-11-21-10.12"],
    ["1795260375", "1795260376"],
    ["2026-11-21", "2026-11-21.1"],
  ] as const) {
    test(`${older} is older than ${younger}`, () => {
      assert.ok(compareMarks(older, younger) < 0);
      assert.ok(compareMarks(younger, older) > 0);
      assert.equal(compareMarks(older, older), 0);
    });
  }
});
