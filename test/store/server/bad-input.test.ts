import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import path from "node:path";
import { suite, test } from "node:test";
import { PutRequest, PutResponse, RangeRequest, RangeResponse } from "../../../store/proto/gen/rpc.ts";
import { startLogstore } from "../../compat/logstore.ts";
import { RawClient } from "../../compat/raw-client.ts";
import { freePort, type RunResult, run, temporaryFolder } from "../../support/process.ts";

const SECTOR_BYTES = 512;
/** Of the format version in a segment's header (docs/file-formats.md). */
const WAL_VERSION_OFFSET = 8;
const BIN = path.resolve(import.meta.dirname, "../../../store/bin.js");

/** Runs `logstore` where it is expected to refuse. */
function refused(args: readonly string[], env: Record<string, string> = {}): Promise<RunResult> {
  return run(process.execPath, [BIN, ...args], { timeoutMs: 20_000, env });
}

async function serveFlags(folder: string): Promise<string[]> {
  const url = `http://127.0.0.1:${await freePort()}`;
  return [
    `--data-dir=${path.join(folder, "data")}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    "--listen-peer-urls=http://127.0.0.1:0",
  ];
}

/** The reason in the last line of the log. */
function reason({ stderr }: RunResult): string {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  return JSON.parse(last).reason;
}

/** A data folder whose owner was killed after some puts. */
async function filledFolder(puts = 50): Promise<string> {
  const folder = temporaryFolder("bad-input");
  await using store = await startLogstore({ folder });
  using client = new RawClient(store.endpoint);
  for (let number = 0; number < puts; number += 1) {
    const request = { key: Buffer.from(`k${number}`), value: Buffer.alloc(1_400, number) };
    await client.call("KV/Put", [PutRequest, PutResponse], request);
  }
  await store.process.kill();
  return folder;
}

function walSegment(folder: string): string {
  const wal = path.join(folder, "data/member/wal");
  const [segment] = readdirSync(wal).filter((name) => name.endsWith(".wal"));
  return path.join(wal, segment ?? assert.fail(`no segment among ${readdirSync(wal)}`));
}

suite("logstore refuses, with exit code 2 and a message,", () => {
  const table: readonly (readonly [what: string, args: readonly string[], message: RegExp])[] = [
    [
      "an unknown flag",
      ["--dta-dir=x"],
      /^logstore: Cannot read command line: unknown flag --dta-dir, did you mean "data-dir"\?\n$/,
    ],
    [
      "a bad URL",
      ["--listen-client-urls=nonsense", "--advertise-client-urls=http://a:1"],
      /Cannot use --listen-client-urls "nonsense": expected a URL such as/,
    ],
    [
      "https",
      ["--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=http://a:1"],
      /TLS is not in this release/,
    ],
    [
      "a bad retention",
      ["--auto-compaction-retention=often"],
      /Cannot use --auto-compaction-retention "often": expected a duration/,
    ],
    [
      "a member without a URL",
      ["--initial-cluster=default=http://localhost:2380,b"],
      /^logstore: error setting up initial cluster: URL scheme must be http, https, unix, or unixs: \n$/,
    ],
  ];
  for (const [what, args, message] of table) {
    test(what, async () => {
      const result = await refused(args);
      assert.equal(result.code, 2);
      assert.equal(result.stdout, "");
      assert.match(result.stderr, message);
    });
  }

  test("a config file with an unknown key", async () => {
    const file = path.join(temporaryFolder("config"), "etcd.yaml");
    writeFileSync(file, "name: x\ndata_dir: /y\n");
    const result = await refused(["--config-file", file]);
    assert.equal(result.code, 2);
    assert.equal(
      result.stderr,
      `logstore: Cannot use config file ${file}: unknown key "data_dir", did you mean "data-dir"?\n`,
    );
  });
});

suite("logstore refuses, with exit code 1 and a reason in its log,", () => {
  test("a port in use, naming address and flag", async () => {
    const folder = temporaryFolder("port");
    const flags = await serveFlags(folder);
    const url = flags[1]?.split("=")[1] ?? "";
    const server = createServer().listen({ host: "127.0.0.1", port: Number(url.split(":").at(-1)) });
    try {
      const result = await refused(flags);
      assert.equal(result.code, 1);
      assert.equal(
        reason(result),
        `Cannot listen on ${url.slice("http://".length)} (--listen-client-urls ${url}): the port is in use by another process`,
      );
    } finally {
      server.close();
    }
  });

  test("a metrics port in use", async () => {
    const flags = await serveFlags(temporaryFolder("port"));
    const url = flags[1]?.split("=")[1] ?? "";
    const result = await refused([...flags, `--listen-metrics-urls=${url}`]);
    assert.equal(result.code, 1);
    assert.match(reason(result), /^Cannot listen on .*\(--listen-metrics-urls http:.*\): the port is in use/);
  });

  test("a data folder it cannot write to", async () => {
    const folder = temporaryFolder("unwritable");
    const data = path.join(folder, "data");
    mkdirSync(data);
    // Root may write anywhere: there, a file stands where the folder should be.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) writeFileSync(path.join(data, "file"), "");
    else chmodSync(data, 0o500);
    const flags = (await serveFlags(folder)).slice(1);
    const target = isRoot ? path.join(data, "file") : data;
    const result = await refused([`--data-dir=${target}`, ...flags]);
    assert.equal(result.code, 1);
    assert.match(
      reason(result),
      /^Cannot use data folder \S+ \(--data-dir\): expected a folder this user can write to: /,
    );
    chmodSync(data, 0o700);
  });

  test("a data folder that another process uses, naming that", async () => {
    const folder = temporaryFolder("locked");
    await using first = await startLogstore({ folder });
    const result = await refused(await serveFlags(folder));
    assert.equal(result.code, 1);
    assert.match(
      reason(result),
      new RegExp(`^Cannot use data folder \\S+: process ${first.process.pid} is using it`),
    );
  });

  test("a WAL of a newer version, naming both", async () => {
    const folder = await filledFolder();
    const segment = walSegment(folder);
    const bytes = readFileSync(segment);
    bytes.writeUInt32LE(99, WAL_VERSION_OFFSET);
    writeFileSync(segment, bytes);
    const result = await refused(await serveFlags(folder));
    assert.equal(result.code, 1);
    assert.match(reason(result), /format version 99, expected 1 or less$/);
    assert.ok(reason(result).includes(segment));
  });

  test("a backend of a newer version", async () => {
    const folder = temporaryFolder("newer");
    mkdirSync(path.join(folder, "data/member"), { recursive: true });
    const { LmdbBackend } = await import("../../../store/backend/lmdb-backend.ts");
    const backend = await LmdbBackend.open(path.join(folder, "data/member/db"));
    const version = Buffer.alloc(4);
    version.writeUInt32BE(99);
    backend.put("meta", Buffer.from("formatVersion"), version);
    await backend.commit();
    await backend.close();
    const result = await refused(await serveFlags(folder));
    assert.equal(result.code, 1);
    assert.match(reason(result), /^Cannot open backend \S+: format version 99, expected 2 or less/);
  });

  test("a WAL that is damaged in the middle, naming file and offset", async () => {
    const folder = await filledFolder();
    const segment = walSegment(folder);
    const bytes = readFileSync(segment);
    const middle = bytes.indexOf(Buffer.alloc(1_400, 25));
    assert.ok(middle > 0);
    bytes.writeUInt8(bytes.readUInt8(middle + 100) ^ 1, middle + 100);
    writeFileSync(segment, bytes);
    const result = await refused(await serveFlags(folder));
    assert.equal(result.code, 1);
    assert.match(reason(result), new RegExp(`${segment}.*at offset \\d+ frame \\d+ has CRC32C`));
  });

  test("a peer port in use, and lets go of the data folder", async () => {
    const folder = temporaryFolder("port");
    const server = createServer().listen({ host: "127.0.0.1", port: await freePort() });
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const flags = await serveFlags(folder);
    try {
      const result = await refused([...flags, `--listen-peer-urls=${url}`]);
      assert.equal(result.code, 1);
      assert.match(reason(result), /^Cannot listen on .*\(--listen-peer-urls http:.*\): the port is in use/);
    } finally {
      server.close();
    }
    await using _ = await startLogstore({ folder });
  });

  test("joining a cluster that is not there", async () => {
    const result = await refused([
      ...(await serveFlags(temporaryFolder("join"))),
      "--initial-cluster-state=existing",
    ]);
    assert.equal(result.code, 1);
    assert.equal(
      reason(result),
      "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs",
    );
  });

  test("a name that is not in --initial-cluster", async () => {
    const flags = await serveFlags(temporaryFolder("name"));
    const result = await refused([...flags, "--name=a", "--initial-cluster=b=http://localhost:2380"]);
    assert.equal(result.code, 1);
    assert.equal(reason(result), `couldn't find local name "a" in the initial cluster configuration`);
  });
});

test("logstore cuts a WAL that is torn at its tail, and starts with everything before it", async () => {
  // Few and fast, so that no flush has yet made the last put durable elsewhere: that would be damage, not a torn write.
  const folder = await filledFolder(5);
  const segment = walSegment(folder);
  const bytes = readFileSync(segment);
  const last = bytes.lastIndexOf(Buffer.alloc(1_400, 4));
  assert.ok(last > 0);
  // A sector of the last frame that a power cut kept from the disk is zero.
  const sector = Math.ceil(last / SECTOR_BYTES) * SECTOR_BYTES;
  bytes.fill(0, sector, sector + SECTOR_BYTES);
  writeFileSync(segment, bytes);
  await using store = await startLogstore({ folder });
  assert.match(store.process.output(), /cut/);
  using client = new RawClient(store.endpoint);
  const request = { key: Buffer.from("k"), rangeEnd: Buffer.from("l") };
  const { kvs } = await client.call("KV/Range", [RangeRequest, RangeResponse], request);
  assert.deepEqual(
    kvs.map(({ key }) => String(key)),
    ["k0", "k1", "k2", "k3"],
  );
  await client.call("KV/Put", [PutRequest, PutResponse], {
    key: Buffer.from("after"),
    value: Buffer.from("cut"),
  });
});
