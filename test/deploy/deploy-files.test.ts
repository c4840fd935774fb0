import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import kafkajs from "kafkajs";
import { readOverrides } from "../../conf/env-overrides.ts";
import { parseAgentConfig } from "../../conf/load.ts";
import { sharedKafka, withAdmin } from "../support/kafka.ts";
import { runBin } from "../support/process.ts";
import { commands, commandsOf, compose, dockerfile, read, root, units } from "./deployed-files.ts";

/** What is deployed says what the programs understand: every flag, path and variable in these files exists. */
suite("docker-compose.yml, deploy/Dockerfile and the systemd units", () => {
  test("start only programs that the package has", () => {
    const bins = Object.keys((JSON.parse(read("package.json")) as { bin: Record<string, string> }).bin);
    const known = [...bins, "node", "sh", "test", "kafka-broker-api-versions.sh"];
    for (const [program] of commands) assert.ok(known.includes(path.basename(program ?? "")), `${program}`);
    for (const bin of bins) assert.ok(commandsOf(bin).length > 0, `${bin} is started nowhere`);
  });

  test("give logagent a command, a file and variables that it knows", async () => {
    const { service } = { service: compose.services.agent };
    const environment = Object.fromEntries(
      Object.entries(service?.environment ?? {}).map(([name, value]) => [name, String(value)]),
    );
    assert.deepEqual(readOverrides(environment).unknown, []);
    const example = "conf/examples/agent.docker.yaml";
    assert.ok(dockerfile.includes(`COPY ${example} /etc/logagent/agent.yaml`));
    const { config, warnings } = parseAgentConfig({ path: example, text: read(example) }, environment);
    assert.deepEqual([config.ip, config.sink.createTopics, warnings], ["demo", true, []]);
    const members = Object.keys(compose.services).filter((name) => name.startsWith("store"));
    assert.deepEqual(
      config.store.endpoints,
      members.map((name) => `http://${name}:2379`),
    );
    for (const args of commandsOf("logagent")) {
      assert.ok(["run", "check"].includes(args[0] ?? ""), `logagent ${args.join(" ")}`);
      assert.ok(args.join(" ").replace("=", " ").endsWith("--config /etc/logagent/agent.yaml"));
    }
    const check = await runBin("logagent", ["check", "--config", path.join(root, example)]);
    assert.equal(check.code, 0, check.stderr);
  });

  test("name files, folders, volumes and services that exist", () => {
    for (const [, sources = ""] of dockerfile.matchAll(/^COPY (.+) \S+$/gm)) {
      for (const source of sources.split(/\s+/)) assert.ok(existsSync(path.join(root, source)), source);
    }
    for (const [name, { build, volumes = [], depends_on = {} }] of Object.entries(compose.services)) {
      if (build !== undefined) assert.ok(existsSync(path.join(root, build.context, build.dockerfile)));
      for (const volume of volumes) assert.ok((volume.split(":")[0] ?? "") in compose.volumes, volume);
      for (const service of Object.keys(depends_on))
        assert.ok(service in compose.services, `${name}: ${service}`);
    }
    for (const folder of ["/var/lib/logstore", "/var/lib/logagent"])
      assert.ok(dockerfile.includes(folder), folder);
    for (const { name, text } of units) {
      assert.match(text, new RegExp(`^StateDirectory=${name}$`, "m"));
      assert.match(text, new RegExp(`^User=${name}$`, "m"));
      assert.match(text, /^Restart=always$/m);
    }
  });

  test("set only what a Kafka broker knows", async () => {
    const names = Object.keys(compose.services.kafka?.environment ?? {})
      .filter((name) => name.startsWith("KAFKA_"))
      .map((name) => name.slice("KAFKA_".length).toLowerCase().replaceAll("_", "."));
    assert.ok(names.length > 5);
    const { brokers } = await sharedKafka();
    await withAdmin(brokers, async (admin) => {
      const [broker] = (await admin.describeCluster()).brokers;
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.BROKER, name: String(broker?.nodeId) }],
      });
      const known = new Set(resources[0]?.configEntries.map(({ configName }) => configName));
      for (const name of names) assert.ok(known.has(name), `${name} is no setting of a broker`);
    });
  });
});
