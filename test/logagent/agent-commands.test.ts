import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { suite, test } from "node:test";
import { runBin, temporaryFolder } from "../support/process.ts";

const folder = temporaryFolder("commands");

async function file(name: string, text: string): Promise<string> {
  const where = path.join(folder, name);
  await writeFile(where, text);
  return where;
}

suite("logagent", () => {
  test("prints its version and its help", async () => {
    const { version } = JSON.parse(
      readFileSync(path.join(import.meta.dirname, "../../package.json"), "utf8"),
    ) as { version: string };
    assert.deepEqual(await runBin("logagent", ["--version"]), {
      code: 0,
      stdout: `${version}\n`,
      stderr: "",
    });
    const help = await runBin("logagent", ["--help"]);
    assert.equal(help.code, 0);
    for (const command of ["run", "check", "preview", "audit"])
      assert.match(help.stdout, new RegExp(`^ {2}${command} `, "m"));
  });

  for (const [what, args, message] of [
    ["no command", [], /Usage: logagent/],
    ["an unknown command", ["runn"], /unknown command 'runn'[\s\S]*Did you mean run/],
    [
      "an unknown option",
      ["check", "--config", "x", "--colect", "y"],
      /unknown option '--colect'[\s\S]*Did you mean --collect/,
    ],
    [
      "a misspelled option in place of a required one",
      ["run", "--confg", "x"],
      /unknown option '--confg'[\s\S]*Did you mean --config/,
    ],
    ["a missing option", ["run"], /required option '--config <file>' not specified/],
    ["an argument too many", ["check", "--config", "x", "y"], /too many arguments/],
  ] as const) {
    test(`exits 2 with ${what}`, async () => {
      const { code, stdout, stderr } = await runBin("logagent", args, {
        env: { LOGAGENT_CONFIG: undefined },
      });
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, message);
    });
  }

  test("run, check and audit exit 1 with a config file that is not there, and say so in one line", async () => {
    for (const command of ["run", "check", "audit"]) {
      const result = await runBin("logagent", [command, "--config", "/nowhere.yaml"]);
      assert.deepEqual(result, {
        code: 1,
        stdout: "",
        stderr: "Cannot read config file /nowhere.yaml: there is no such file\n",
      });
    }
  });
});

suite("logagent check", () => {
  test("says that a file is valid, and runs nothing", async () => {
    const config = await file("good.yaml", `allow: ["${folder}/**"]\ndataDir: ${folder}/never\n`);
    const collect = await file("good.json", `[{"path":"${folder}/*.log","topic":"a"}]`);
    const { code, stdout, stderr } = await runBin("logagent", [
      "check",
      "--config",
      config,
      "--collect",
      collect,
    ]);
    assert.equal(stderr, "");
    assert.equal(stdout, `${config}: valid\n${collect}: valid, 1 entry, 1 topic of sink kafka\n`);
    assert.equal(code, 0);
    assert.throws(() => readFileSync(`${folder}/never`), { code: "ENOENT" });
  });

  test("takes the config's place from LOGAGENT_CONFIG, and the collect config from stdin", async () => {
    const config = await file("env.yaml", "");
    const result = await runBin("logagent", ["check", "--collect", "-"], {
      env: { LOGAGENT_CONFIG: config, LOGAGENT_SINK_TYPE: "file" },
      stdin: "[]",
    });
    assert.equal(result.stdout, `${config}: valid\n-: valid, 0 entries, 0 topics of sink file\n`);
  });

  for (const [what, text, message] of [
    [
      "an unknown field",
      "sink: {}\nstoer: {}\n",
      'line 2, column 1: unknown field "stoer", did you mean "store"?',
    ],
    [
      "a bad pattern",
      'ip: a\nallow: ["/var/log/**", "/var/../etc/*"]\n',
      'bad.yaml: line 2, column 24: field "allow[1]" is "/var/../etc/*": it has a ".." segment',
    ],
    [
      "a PEM file for the store that is not there",
      "store: { tls: { ca: /nowhere.pem } }\n",
      'bad.yaml: field "store.tls.ca" is "/nowhere.pem": there is no such file',
    ],
    [
      "a PEM file for the brokers that is not there",
      "sink: { tls: { enabled: true, key: /nowhere.pem } }\n",
      'bad.yaml: field "sink.tls.key" is "/nowhere.pem": there is no such file',
    ],
  ] as const) {
    test(`exits 1 with ${what}`, async () => {
      const { code, stderr } = await runBin("logagent", ["check", "--config", await file("bad.yaml", text)]);
      assert.equal(code, 1);
      assert.ok(stderr.includes(message), stderr);
    });
  }

  test("exits 1 with a collect config that an agent would refuse, by its name", async () => {
    const config = await file("allow.yaml", 'allow: ["/var/log/**"]\n');
    const collect = await file("bad.json", '[{"path":"/etc/passwd","topic":"t"}]');
    const { code, stderr } = await runBin("logagent", ["check", "--config", config, "--collect", collect]);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `${collect}: Cannot use collect config: entry 1 ("/etc/passwd"): the path is not inside allow, ` +
        "expected a path inside /var/log/**\n",
    );
    const missing = await runBin("logagent", ["check", "--config", config, "--collect", "/nowhere.json"]);
    assert.equal(missing.stderr, "Cannot read collect config /nowhere.json: there is no such file\n");
  });

  test("exits 1 with a folder in place of a file, and says so", async () => {
    const config = await file("folder.yaml", "");
    const collect = await runBin("logagent", ["check", "--config", config, "--collect", folder]);
    assert.deepEqual(
      [collect.code, collect.stderr],
      [1, `Cannot read collect config ${folder}: it is a folder, expected a file\n`],
    );
    const agent = await runBin("logagent", ["check", "--config", folder]);
    assert.equal(agent.stderr, `Cannot read config file ${folder}: it is a folder, expected a file\n`);
  });
});
