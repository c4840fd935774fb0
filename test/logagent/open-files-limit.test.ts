import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { OPEN_FILES_DEFAULT_MAX } from "../../conf/agent-config.ts";
import { openFilesLimit, softLimitIn } from "../../logagent/open-files-limit.ts";

suite("openFilesLimit()", () => {
  test("leaves 256 descriptors to the rest of the agent, or half of few, and takes no more than its default", () => {
    const limitOf = (descriptors: number) => openFilesLimit(undefined, descriptors);
    assert.deepEqual(limitOf(1_024), { limit: 768, warning: undefined });
    assert.deepEqual(limitOf(100), { limit: 50, warning: undefined });
    assert.deepEqual(limitOf(1), { limit: 1, warning: undefined });
    assert.deepEqual(limitOf(1_048_576), { limit: OPEN_FILES_DEFAULT_MAX, warning: undefined });
  });

  test("takes what the config says, also above the default", () => {
    assert.deepEqual(openFilesLimit(3, 1_024), { limit: 3, warning: undefined });
    assert.deepEqual(openFilesLimit(50_000, 65_536), { limit: 50_000, warning: undefined });
  });

  test("warns of more than the process may open, names both numbers, and goes on with what there is", () => {
    const { limit, warning } = openFilesLimit(2_000, 1_024);
    assert.equal(limit, 768);
    assert.equal(
      warning,
      "Cannot hold openFilesMax (2000) files open: the process may open 1024 (ulimit -n, LimitNOFILE=), and holds 768 files",
    );
  });

  test("finds the limit of the process it runs in", () => {
    assert.ok(openFilesLimit(undefined).limit >= 1);
  });
});

suite("softLimitIn()", () => {
  const limits = (soft: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             127235               127235               processes \nMax open files            ${soft}                1048576              files     \n`;

  test("reads the soft limit of open files", () => {
    assert.equal(softLimitIn(limits("1024")), 1_024);
    assert.equal(softLimitIn(limits("unlimited")), Number.MAX_SAFE_INTEGER);
  });

  test("says nothing where there is no such line", () => {
    assert.equal(softLimitIn("Max processes 1 1 processes\n"), undefined);
    assert.equal(softLimitIn(""), undefined);
  });
});
