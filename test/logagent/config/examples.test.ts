import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { agentConfigSchema } from "../../../conf/agent-config.ts";
import { exampleAgentConfig } from "../../../conf/example-config.ts";
import { parseAgentConfig } from "../../../conf/load.ts";
import { ENTRY_FIELDS, parseCollectConfig } from "../../../conf/parse-collect-config.ts";
import { leafFields } from "../../../conf/schema-fields.ts";
import { insideAllow } from "../../../logagent/config/inside-allow.ts";
import { compileAllowList } from "../../../logagent/source/allow-list.ts";

const folder = path.resolve(import.meta.dirname, "../../../conf/examples");
const read = (name: string): string => readFileSync(path.join(folder, name), "utf8");

suite("conf/examples", () => {
  test("agent.yaml is written from the schema: exampleAgentConfig() gives it", () => {
    assert.equal(read("agent.yaml"), exampleAgentConfig());
  });

  test("agent.yaml holds every option with its default", () => {
    const text = read("agent.yaml");
    assert.deepEqual(parseAgentConfig({ path: "agent.yaml", text }, {}).config, agentConfigSchema.parse({}));
    for (const { path: names, description } of leafFields(agentConfigSchema)) {
      assert.notEqual(description, "", `${names.join(".")} has a doc`);
      assert.match(text, new RegExp(`^ *(# )?${names.at(-1)}:`, "m"));
    }
  });

  for (const name of readdirSync(folder).filter((one) => /^agent.*\.yaml$/.test(one))) {
    test(`${name} is valid`, () => {
      assert.deepEqual(parseAgentConfig({ path: name, text: read(name) }, {}).warnings, []);
    });
  }

  for (const document of ["README.md", "docs/collect-config.md"]) {
    test(`${document} names every field of an entry`, () => {
      const text = readFileSync(path.resolve(folder, "../..", document), "utf8");
      for (const field of ENTRY_FIELDS) assert.match(text, new RegExp(`^\\| .*\`${field}\`.* \\|`, "m"));
    });
  }

  test("collect-config.json is valid with the default allow", () => {
    const check = insideAllow(compileAllowList(agentConfigSchema.parse({}).allow));
    assert.ok(parseCollectConfig(Buffer.from(read("collect-config.json")), check).length > 1);
  });
});
