import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { createMetrics } from "../logagent/status/metrics.ts";
import { agentView, taskStatus } from "./logagent/status/task-status.ts";

const root = path.resolve(import.meta.dirname, "..");
const read = (file: string) => readFileSync(path.join(root, file), "utf8");

/** The sources of a folder, one behind another. */
function sourcesOf(folder: string): string {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => read(path.join(folder, name)))
    .join("\n");
}

function sortedSet(names: Iterable<string>): string[] {
  return [...new Set(names)].sort();
}

/** The metrics in the first columns of docs/operations.md. */
function documentedMetrics(prefix: RegExp): string[] {
  const names = [...read("docs/operations.md").matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name = ""]) => name);
  return sortedSet(names.filter((name) => prefix.test(name)));
}

suite("docs/operations.md", () => {
  test("has every metric of the agent, and none that is not there", async () => {
    const metrics = createMetrics(agentView({ tasks: () => [taskStatus()] }));
    const served = [...(await metrics.text()).matchAll(/^# TYPE (logagent_\w+)/gm)].map(
      ([, name = ""]) => name,
    );
    assert.ok(served.length > 10, `${served.length} metrics`);
    assert.deepEqual(documentedMetrics(/^logagent_/), sortedSet(served));
  });

  test("has every metric of the store, and none that is not there", () => {
    const named = [
      ...sourcesOf("store/server").matchAll(/"((?:etcd_[a-z]+|grpc_server|logstore)_[a-z_]+)"/g),
    ];
    const names = named.map(([, name = ""]) => name);
    assert.ok(names.length > 10, `${names.length} metrics`);
    assert.deepEqual(documentedMetrics(/^(etcd|grpc|logstore)_/), sortedSet(names));
  });

  test("has every flag of a status", () => {
    const flags = [...read("logagent/status/build-status.ts").matchAll(/["`]([a-z]+(?:-[a-z0-9]+)+)["`:]/g)];
    assert.ok(flags.length > 5, `${flags.length} flags`);
    const text = read("docs/operations.md");
    for (const [, flag = ""] of flags)
      assert.ok(text.includes(`\`${flag}`), `${flag} is in docs/operations.md`);
  });
});

suite("docs/file-formats.md", () => {
  test("has every file of an agent's data folder", () => {
    const names = [...sourcesOf("logagent").matchAll(/"([a-z-]+\.json|checkpoints(?:\.previous)?)"/g)];
    assert.ok(names.length >= 5, `${names.length} files`);
    const text = read("docs/file-formats.md");
    for (const [, name = ""] of names) assert.match(text, new RegExp(`[\`/]${name.replace(".", "\\.")}\``));
  });
});

suite("README.md", () => {
  test("links to nothing that is not in the published package", () => {
    const { files } = JSON.parse(read("package.json")) as { readonly files: readonly string[] };
    const targets = [...read("README.md").matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(
      ([, target = ""]) => target,
    );
    assert.ok(targets.length > 3, `${targets.length} links`);
    const dead = targets.filter(
      (target) =>
        !/^[a-z]+:/.test(target) && !files.some((file) => target === file || target.startsWith(`${file}/`)),
    );
    assert.deepEqual(dead, []);
  });
});
