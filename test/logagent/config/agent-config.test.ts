import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { suite, test } from "node:test";
import { agentConfigSchema } from "../../../conf/agent-config.ts";
import { variableName } from "../../../conf/env-overrides.ts";
import { loadAgentConfig, parseAgentConfig } from "../../../conf/load.ts";
import { leafFields } from "../../../conf/schema-fields.ts";

const parse = (text: string, env: Record<string, string> = {}) =>
  parseAgentConfig({ path: "agent.yaml", text }, env);
const PREFIX = "Cannot use config file agent.yaml: ";

suite("parseAgentConfig()", () => {
  test("gives the documented defaults for an empty file", () => {
    const { config, warnings } = parse("");
    assert.equal(config.ip, "auto");
    assert.deepEqual(config.store.endpoints, ["http://127.0.0.1:2379"]);
    assert.equal(config.store.key, "/logagent/%s/collect_config");
    assert.equal(config.sink.type, "kafka");
    assert.deepEqual(config.sink.brokers, ["127.0.0.1:9092"]);
    assert.equal(config.sink.compression, "zstd");
    assert.equal(config.sink.createTopics, false);
    assert.equal(config.dataDir, "/var/lib/logagent");
    assert.deepEqual(config.allow, ["/var/log/**"]);
    assert.equal(config.http, "127.0.0.1:2381");
    assert.deepEqual(warnings, []);
  });

  const refused: [what: string, text: string, env: Record<string, string>, message: string][] = [
    [
      "a path with NUL",
      'dataDir: "/var/lib/a\\0b"\n',
      {},
      'line 1, column 1: field "dataDir" is "/var/lib/a\\u0000b", expected a path without NUL, which no file name has',
    ],
    ["what is not YAML", "sink: [\nb", {}, "line 2, column 1: not YAML: "],
    ["a list", "- a\n", {}, 'the file holds a list, expected fields such as "store:" and "sink:"'],
    ["a word", "hello\n", {}, 'the file holds "hello", expected fields such as "store:" and "sink:"'],
    [
      "an unknown field",
      "ip: auto\nsnik:\n  type: file\n",
      {},
      'line 2, column 1: unknown field "snik", did you mean "sink"?',
    ],
    [
      "an unknown field inside of a section",
      "sink:\n  type: file\n  compresion: none\n",
      {},
      'line 3, column 3: unknown field "sink.compresion", did you mean "compression"?',
    ],
    [
      "a wrong type",
      "sink:\n  createTopics: 1\n",
      {},
      'line 2, column 3: field "sink.createTopics" is 1, expected true or false',
    ],
    [
      "a value that is none of the allowed",
      "sink: { type: kafak }\n",
      {},
      'line 1, column 9: field "sink.type" is "kafak", expected one of "kafka", "kafkajs", "file", "stdout"',
    ],
    [
      "an item of a list",
      "sink:\n  brokers:\n    - a:9092\n    - b\n",
      {},
      'line 4, column 7: field "sink.brokers[1]" is "b", expected host:port, with a port of 0 to 65535',
    ],
    [
      "an empty list",
      "allow: []\n",
      {},
      'line 1, column 1: field "allow" is a list, expected 1 or more items',
    ],
    [
      "an endpoint that is none",
      "store: {endpoints: [ftp://a:1]}\n",
      {},
      "expected http://host:port or https://host:port",
    ],
    ["a relative data folder", "dataDir: data\n", {}, 'field "dataDir" is "data", expected an absolute path'],
    ["a key without a place for the identity", "store: {key: /a}\n", {}, "expected a key with %s once"],
    ["a section that is a value", "store: 3\n", {}, 'field "store" is 3, expected an object'],
    [
      "a limit of open files that would open none",
      "openFilesMax: 0\n",
      {},
      'field "openFilesMax" is 0, expected',
    ],
    [
      "an identity that could leave its key",
      "ip: a/b\n",
      {},
      'field "ip" is "a/b", expected auto, an address',
    ],
    [
      "a login without a user",
      "sink:\n  sasl: { mechanism: plain }\n",
      {},
      'line 2, column 3: field "sink.sasl.username" is missing, expected a user to log in as, or mechanism: none',
    ],
    [
      "a bad value of a variable, by the variable's name",
      "",
      { LOGAGENT_DATA_DIR: "data" },
      'variable LOGAGENT_DATA_DIR: field "dataDir" is "data", expected an absolute path',
    ],
  ];
  for (const [what, text, env, message] of refused) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => parse(text, env),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, "EBADCONFIG");
          assert.ok(error.message.startsWith(PREFIX), error.message);
          assert.ok(error.message.includes(message), error.message);
          return true;
        },
      );
    });
  }

  test("takes variables over the file", () => {
    const { config } = parse("ip: a\nsink: { type: kafka, brokers: [x:1] }\n", {
      LOGAGENT_IP: "b",
      LOGAGENT_SINK_TYPE: "file",
      LOGAGENT_SINK_BROKERS: "y:1, z:2",
      LOGAGENT_SINK_CREATE_TOPICS: "true",
      LOGAGENT_STORE_ENDPOINTS: "http://s:2379",
      LOGAGENT_MEMORY_MAX_IN_FLIGHT_BYTES: "8388608",
    });
    assert.equal(config.ip, "b");
    assert.equal(config.sink.type, "file");
    assert.deepEqual(config.sink.brokers, ["y:1", "z:2"]);
    assert.equal(config.sink.createTopics, true);
    assert.deepEqual(config.store.endpoints, ["http://s:2379"]);
    assert.equal(config.memory.maxInFlightBytes, 8_388_608);
  });

  test("warns of a variable that no option has, and goes on", () => {
    assert.deepEqual(parse("", { LOGAGENT_PORT: "tcp://1", LOGAGENT_CONFIG: "a", HOME: "/" }).warnings, [
      "Variable LOGAGENT_PORT is ignored: no option has it",
    ]);
  });

  for (const [variable, value, expected] of [
    ["LOGAGENT_SINK_CREATE_TOPICS", "yes", "true or false"],
    ["LOGAGENT_SHUTDOWN_DRAIN_MS", "10s", "a whole number"],
  ] as const) {
    test(`refuses ${variable}=${value}`, () => {
      assert.throws(() => parse("", { [variable]: value }), {
        code: "EBADCONFIG",
        message: `Cannot use variable ${variable}: it is "${value}", expected ${expected}`,
      });
    });
  }

  test("shows no password in a message", () => {
    assert.throws(
      () => parse("sink: { sasl: { password: 123456789 } }\n"),
      (error: Error) => {
        assert.ok(error.message.includes('field "sink.sasl.password"'), error.message);
        assert.ok(!error.message.includes("123456789"), error.message);
        return true;
      },
    );
  });
});

suite("variableName()", () => {
  test("differs for each option", () => {
    const names = leafFields(agentConfigSchema).map((field) => variableName(field.path));
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.includes("LOGAGENT_STORE_ENDPOINTS"));
    assert.ok(names.includes("LOGAGENT_SINK_CREATE_TOPICS"));
  });
});

suite("loadAgentConfig()", () => {
  test("says that a file is not there", async () => {
    await assert.rejects(loadAgentConfig("/nowhere/agent.yaml", {}), {
      code: "EBADCONFIG",
      message: "Cannot read config file /nowhere/agent.yaml: there is no such file",
    });
  });

  test("says that a file is a folder, or has no text in it", async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "logagent-load-"));
    try {
      await assert.rejects(
        loadAgentConfig(folder, {}),
        /^CodedError: Cannot read config file .*: it is a folder, expected a file/,
      );
      const file = path.join(folder, "agent.yaml");
      await writeFile(file, Buffer.from([0x69, 0x70, 0x3a, 0xff]));
      await assert.rejects(loadAgentConfig(file, {}), /Cannot read config file .*agent\.yaml: /);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
