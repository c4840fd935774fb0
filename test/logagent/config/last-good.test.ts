import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { suite, test } from "node:test";
import { nodeDisk } from "../../../base/node-disk.ts";
import { lastGoodFile } from "../../../logagent/config/last-good.ts";
import { temporaryFolder } from "../../support/process.ts";

suite("lastGoodFile()", () => {
  const file = path.join(temporaryFolder("last-good"), "last-good.json");
  const lastGood = lastGoodFile(nodeDisk, file);

  test("has nothing at first", async () => assert.equal(await lastGood.read(), undefined));

  test("read() gives what write() was given", async () => {
    for (const value of ["[]", '[{"path":"/ä","topic":"t"}]']) {
      await lastGood.write({ key: "/k", revision: 12, value });
      assert.deepEqual(await lastGood.read(), { key: "/k", revision: 12, value });
    }
  });

  for (const [what, content, reason, code] of [
    ["of a newer version", '{"version":2}', "format version 2, expected 1 or less", "EVERSION"],
    ["that is cut short", '{"version":1,"key"', "Expected ':' after property name", "EDAMAGED"],
    ["with other fields", '{"version":1}', "", "EDAMAGED"],
    ["without a version", "[]", "format version undefined, expected 1", "EDAMAGED"],
  ] as const) {
    test(`read() refuses a file ${what}`, async () => {
      await writeFile(file, content);
      await assert.rejects(lastGood.read(), (error: Error & { code?: string }) => {
        assert.equal(error.code, code);
        assert.ok(error.message.startsWith(`Cannot use ${file}: ${reason}`), error.message);
        return true;
      });
    });
  }
});
