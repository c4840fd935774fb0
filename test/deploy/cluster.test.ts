import assert from "node:assert/strict";
import path from "node:path";
import { suite, test } from "node:test";
import { LocalCluster } from "../../deploy/cluster/local-cluster.ts";
import { StoreClient } from "../../store/client/client.ts";
import { eventually, temporaryFolder } from "../support/process.ts";
import { ClusterTool, processesOf } from "./cluster-tool.ts";

const signal = AbortSignal.timeout(120_000);

suite("LocalCluster", () => {
  test("kills, pauses, restarts and stops members, and close() leaves none", async () => {
    const folder = temporaryFolder("cluster");
    await using cluster = await LocalCluster.start({ folder });
    const first = await cluster.waitForLeader();
    using client = StoreClient.create({ endpoints: cluster.endpoints });
    await client.put("a", "1", { signal });

    first.pause();
    assert.equal(first.state, "paused");
    assert.equal(await first.status(), undefined);
    const second = await cluster.waitForLeader();
    assert.notEqual(second, first);

    first.resume();
    await second.kill();
    assert.equal(second.state, "stopped");
    assert.equal(second.pid, undefined);
    await cluster.waitForLeader();
    await second.restart();
    await eventually(async () => assert.ok(((await second.status())?.leader ?? 0n) > 0n));
    assert.equal((await client.get("a", { signal })).kv?.value.toString(), "1");

    second.pause();
    assert.deepEqual(await second.stop(), { code: 0, signal: null }, "a paused member stops cleanly");
    assert.throws(() => cluster.member("m9"), /There is no member m9; the members are m1, m2, m3/);
    await cluster.close();
    assert.deepEqual(processesOf(folder), []);
    await assert.rejects(first.start(), /its cluster is closed/);
  });

  test("tells of a member that ends by itself, with the end of its log", async () => {
    const folder = temporaryFolder("cluster");
    const cluster = new LocalCluster({
      folder,
      addresses: [{ name: "m1", clientUrl: "http://127.0.0.1:1", peerUrl: "http://127.0.0.1:0" }],
      args: ["--no-such-flag"],
    });
    const ended = Promise.withResolvers<unknown>();
    const member = cluster.member("m1");
    member.onUnexpectedEnd = ended.resolve;
    await assert.rejects(member.start(), /it ended without "ready to serve.*\n.*unknown flag --no-such-flag/);
    const lastLines = ["logstore: Cannot read command line: unknown flag --no-such-flag"];
    const told = (await ended.promise) as { exit: unknown; lastLines: string[] };
    assert.deepEqual(told.exit, { code: 2, signal: null });
    assert.ok(told.lastLines.join("\n").startsWith(lastLines.join("\n")), told.lastLines.join("\n"));
    await cluster.close();
  });
});

suite("npm run cluster", () => {
  test("obeys commands from stdin, goes on with its folder, and stops at the end of input", async () => {
    const folder = path.join(temporaryFolder("cluster-tool"), "kept");
    await using tool = new ClusterTool(["--folder", folder, "--", "--heartbeat-interval=50"]);
    const [, exported = ""] = await tool.line(/^export ETCDCTL_ENDPOINTS=(.*)$/m);
    assert.equal(exported.split(",").length, 3);

    tool.type("status");
    await tool.line(/│ +m1 │ running │ +\d+ │ +http:\S+ │ +[0-9a-f]+ │ +(?:leader|follower) │/);
    tool.type("kill leader");
    const [, killed = ""] = await tool.line(/^(m\d) is killed/m);
    tool.type(`kill ${killed}`);
    await tool.line(/^m\d does not run; restart m\d starts it$/m);
    tool.type(`restart ${killed}`);
    await tool.line(/^m\d runs again, as process \d+$/m);
    tool.type(`move-leader ${killed}`);
    await tool.line(/^m\d leads(?: already|; before it, m\d)$/m);
    tool.type("pause m2");
    await tool.line(/^m2 is paused/m);
    tool.type("stop m2");
    await tool.line(/^m2 has stopped \(exit code 0\)/m);
    for (const [typed, answer] of [
      ["kil m1", /^Unknown command "kil", did you mean "kill"\?$/m],
      ["kill", /^kill needs a member: m1, m2, m3, or leader$/m],
      ["kill m9", /^There is no member "m9"; the members are m1, m2, m3$/m],
      ["kill m1 m2", /^kill does not take "m2"$/m],
      ["resume m1", /^m1 is running, not paused$/m],
    ] as const) {
      tool.type(typed);
      await tool.line(answer);
    }

    // From outside: nobody asked the tool.
    tool.type("status");
    const [, pid = ""] = await tool.line(/│ +m3 │ running │ +(\d+) │/);
    process.kill(Number(pid), "SIGKILL");
    await tool.line(/^m3 ended by itself \(SIGKILL\)\. The end of its log:\nm3 │ /m);

    await using second = new ClusterTool(["--folder", folder]);
    assert.deepEqual(await second.exited, { code: 1, signal: null });
    assert.match(second.output, /Cannot use data folder .*: process \d+ is using it/);

    tool.endInput();
    assert.deepEqual(await tool.exited, { code: 0, signal: null });
    assert.match(tool.output, /^m\d │ \d\d:\d\d:\d\d\.\d{3} INFO {2}stopped$/m);
    assert.deepEqual(processesOf(folder), []);

    await using again = new ClusterTool(["--folder", folder]);
    assert.equal((await again.line(/^export ETCDCTL_ENDPOINTS=(.*)$/m))[1], exported);
    again.type("quit");
    assert.deepEqual(await again.exited, { code: 0, signal: null });

    await using five = new ClusterTool(["--folder", folder, "--members", "5"]);
    assert.deepEqual(await five.exited, { code: 1, signal: null });
    assert.match(five.output, /it has 3 members, and --members is 5/);
  });

  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    test(`leaves no process behind when it gets ${name}, a paused member among them`, async () => {
      const folder = path.join(temporaryFolder("cluster-tool"), "new");
      await using tool = new ClusterTool(["--folder", folder]);
      await tool.line(/^export /m);
      tool.type("pause m1");
      await tool.line(/^m1 is paused/m);
      assert.equal(processesOf(`${folder}/m`).length, 3);
      tool.signal(name);
      const exit = await tool.exited;
      assert.deepEqual(exit, name === "SIGTERM" ? { code: 0, signal: null } : { code: null, signal: name });
      await eventually(() => assert.deepEqual(processesOf(folder), []));
    });
  }

  test("says what is wrong with its arguments, and with members that do not start", async () => {
    await using wrong = new ClusterTool(["--members", "4"]);
    assert.deepEqual(await wrong.exited, { code: 2, signal: null });
    assert.match(wrong.output, /^--members is "4", expected 3 or 5\nUsage: npm run cluster/);
    const folder = path.join(temporaryFolder("cluster-tool"), "new");
    await using failing = new ClusterTool(["--folder", folder, "--", "--no-such-flag"]);
    assert.deepEqual(await failing.exited, { code: 1, signal: null });
    assert.match(failing.output, /The cluster did not start: .*it ended without "ready to serve/);
    assert.match(failing.output, /unknown flag --no-such-flag/);
    assert.deepEqual(processesOf(folder), []);
  });
});
