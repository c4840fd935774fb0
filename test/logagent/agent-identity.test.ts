import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { suite, test } from "node:test";
import { nodeDisk } from "../../base/node-disk.ts";
import { resolveIdentity, routeTo } from "../../logagent/identity.ts";
import { temporaryFolder } from "../support/process.ts";
import { recordedLog } from "../support/recorded-log.ts";

/** Routes of a machine: host → local address; others are unreachable. */
type Routes = Readonly<Record<string, string>>;

function bed() {
  const dataDir = temporaryFolder("identity");
  const { log, lines } = recordedLog();
  const resolve = (endpoints: readonly string[], routes: Routes, ip = "auto") =>
    resolveIdentity({
      ip,
      endpoints,
      dataDir,
      disk: nodeDisk,
      log,
      routeTo: async (host) => {
        const address = routes[host];
        if (address === undefined) throw new Error(`ENETUNREACH ${host}`);
        return address;
      },
    });
  return { dataDir, lines, resolve };
}

suite("resolveIdentity()", () => {
  test("takes any name as it is, and keeps nothing", async () => {
    const { resolve, dataDir } = bed();
    assert.equal(await resolve(["http://s:2379"], {}, "web-7"), "web-7");
    await assert.rejects(readFile(path.join(dataDir, "identity.json")), { code: "ENOENT" });
  });

  test("takes the address that routes to the store, and keeps it", async () => {
    const { resolve, lines } = bed();
    assert.equal(await resolve(["http://s:2379"], { s: "10.0.0.5" }), "10.0.0.5");
    assert.equal(await resolve(["http://s:2379"], { s: "10.0.0.5" }), "10.0.0.5");
    assert.deepEqual(lines, []);
  });

  test("keeps its address when the machine gets another one, with a WARN", async () => {
    const { resolve, lines } = bed();
    await resolve(["http://s:2379"], { s: "10.0.0.5" });
    assert.equal(await resolve(["http://s:2379"], { s: "10.0.0.9" }), "10.0.0.5");
    assert.deepEqual(
      lines.map(({ level, msg, ip, address }) => ({ level, msg, ip, address })),
      [{ level: "warn", msg: "address changed, kept identity used", ip: "10.0.0.5", address: "10.0.0.9" }],
    );
  });

  test("keeps its address while the network is away", async () => {
    const { resolve, lines } = bed();
    await resolve(["http://s:2379"], { s: "10.0.0.5" });
    assert.equal(await resolve(["http://s:2379"], {}), "10.0.0.5");
    assert.equal(lines[0]?.level, "warn");
  });

  test("takes loopback only if every endpoint is on it", async () => {
    const local = { "127.0.0.1": "127.0.0.1", "::1": "::1" };
    assert.equal(await bed().resolve(["http://127.0.0.1:2379"], local), "127.0.0.1");
    assert.equal(await bed().resolve(["http://127.0.0.1:1", "http://[::1]:2"], local), "127.0.0.1");
    assert.equal(
      await bed().resolve(["http://127.0.0.1:1", "http://s:2"], { ...local, s: "10.0.0.5" }),
      "10.0.0.5",
    );
    await assert.rejects(bed().resolve(["http://127.0.0.1:1", "http://s:2"], local), {
      code: "EIDENTITY",
      message:
        "Cannot find this machine's address (http://s:2: ENETUNREACH s): set ip: to an address or a name",
    });
  });

  test("asks the next endpoint when the first has no route", async () => {
    assert.equal(await bed().resolve(["http://gone:1", "http://s:2"], { s: "10.0.0.5" }), "10.0.0.5");
  });

  test("resolves again, with a WARN, when what was kept cannot be read", async () => {
    const { resolve, dataDir, lines } = bed();
    await writeFile(path.join(dataDir, "identity.json"), '{"version":1,');
    assert.equal(await resolve(["http://s:2379"], { s: "10.0.0.5" }), "10.0.0.5");
    assert.equal(lines[0]?.msg, "kept identity not readable, resolved again");
  });
});

test("resolveIdentity() refuses what a newer agent kept", async () => {
  const { resolve, dataDir } = bed();
  await writeFile(path.join(dataDir, "identity.json"), '{"version":2,"name":"x"}');
  await assert.rejects(resolve(["http://s:2379"], { s: "10.0.0.5" }), {
    code: "EVERSION",
    message: `Cannot use ${dataDir}/identity.json: format version 2, expected 1 or less`,
  });
});

suite("routeTo()", () => {
  test("gives loopback for loopback, and says when a name is unknown", async () => {
    assert.equal(await routeTo("127.0.0.1", 2379), "127.0.0.1");
    await assert.rejects(routeTo("no-such-host.invalid", 2379), /no-such-host\.invalid/);
  });
});
