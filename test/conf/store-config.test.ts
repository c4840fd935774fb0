import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FLAGS_REFUSED, FLAGS_WITHOUT_EFFECT } from "../../conf/etcd-flags.ts";
import { parseGoDuration } from "../../conf/go-values.ts";
import { loadStoreConfig } from "../../conf/load-store-config.ts";
import { KNOWN_FLAGS, UsageError } from "../../conf/store-command-line.ts";
import { storeFlagsSchema } from "../../conf/store-config.ts";

function load(argv: readonly string[], environment: Record<string, string> = {}) {
  const command = loadStoreConfig(argv, environment);
  assert.equal(command.kind, "run");
  return command.kind === "run" ? command : assert.fail();
}

function settings(argv: readonly string[], environment: Record<string, string> = {}) {
  return load(argv, environment).settings;
}

function refusal(argv: readonly string[], environment: Record<string, string> = {}): string {
  try {
    loadStoreConfig(argv, environment);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  return assert.fail(`accepted ${argv.join(" ")}`);
}

function withFile(content: string, use: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "store-config-"));
  try {
    const path = join(folder, "etcd.yaml");
    writeFileSync(path, content);
    use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("loadStoreConfig() gives etcd's defaults", () => {
  const { name, dataFolder, clientAddresses, advertiseClientUrls, autoCompaction, flags } = settings([]);
  assert.equal(name, "default");
  assert.equal(dataFolder, "default.etcd");
  assert.deepEqual(clientAddresses, [
    { host: "127.0.0.1", port: 2379, url: "http://localhost:2379", flag: "listen-client-urls" },
  ]);
  assert.deepEqual(advertiseClientUrls, ["http://localhost:2379"]);
  assert.deepEqual(autoCompaction, { kind: "off" });
  assert.equal(flags["max-request-bytes"], 1_572_864);
  assert.equal(flags["max-txn-ops"], 128);
  assert.equal(flags["heartbeat-interval"], 100);
  assert.equal(flags["election-timeout"], 1_000);
  assert.equal(flags["watch-progress-notify-interval"], 600_000);
});

test("loadStoreConfig() gives etcd's defaults of membership, and this member alone as the first cluster", () => {
  const { peerAddresses, advertisePeerUrls, initialCluster, clusterToken, mayBootstrap, flags } = settings([
    "--name=a",
  ]);
  assert.deepEqual(
    peerAddresses.map(({ host, port }) => [host, port]),
    [["127.0.0.1", 2380]],
  );
  assert.deepEqual(advertisePeerUrls, ["http://localhost:2380"]);
  assert.deepEqual([...initialCluster], [["a", ["http://localhost:2380"]]]);
  assert.deepEqual([clusterToken, mayBootstrap], ["etcd-cluster", true]);
  assert.deepEqual(
    [flags["strict-reconfig-check"], flags["snapshot-count"], flags["max-learners"]],
    [true, 10_000, 1],
  );
});

test("loadStoreConfig() reads the members of --initial-cluster, several URLs of one name together", () => {
  const text = "b=http://b:2,a=http://a:1,b= http://b:1,";
  for (const given of [
    settings([`--initial-cluster=${text}`]),
    settings([], { ETCD_INITIAL_CLUSTER: text }),
  ]) {
    assert.deepEqual(
      [...given.initialCluster],
      [
        ["b", ["http://b:1", "http://b:2"]],
        ["a", ["http://a:1"]],
      ],
    );
  }
  withFile(`initial-cluster: ${text}\nstrict-reconfig-check: false\nsnapshot-count: 0\n`, (path) => {
    const { initialCluster, flags } = settings(["--config-file", path]);
    assert.equal(initialCluster.size, 2);
    assert.deepEqual([flags["strict-reconfig-check"], flags["snapshot-count"]], [false, 10_000]);
  });
  assert.equal(settings(["--strict-reconfig-check=false"]).flags["strict-reconfig-check"], false);
  assert.equal(settings([], { ETCD_INITIAL_CLUSTER_STATE: "existing" }).mayBootstrap, false);
});

test("loadStoreConfig() reads flags as Go does: one or two dashes, = or the next argument, the last counts", () => {
  for (const argv of [
    ["--name=a"],
    ["-name=a"],
    ["--name", "a"],
    ["-name", "a"],
    ["--name=b", "-name", "a"],
  ]) {
    assert.equal(settings(argv).name, "a");
    assert.equal(settings(argv).dataFolder, "a.etcd");
  }
});

test("loadStoreConfig() takes a flag before its variable, and a variable before the default", () => {
  const environment = { ETCD_NAME: "by-variable", ETCD_DATA_DIR: "/d" };
  assert.equal(settings(["--name=by-flag"], environment).name, "by-flag");
  assert.equal(settings(["--name=by-flag"], environment).dataFolder, "/d");
  assert.equal(settings([], { ETCD_NAME: "" }).name, "default");
});

test("loadStoreConfig() lets a config file alone count, and says what it ignored", () => {
  withFile("name: by-file\nmax-txn-ops: 7\nelection-timeout: 2000\n", (path) => {
    for (const [argv, environment] of [
      [["--config-file", path, "--name=x"], { ETCD_DATA_DIR: "/d" }],
      [["--name=x"], { ETCD_CONFIG_FILE: path, ETCD_DATA_DIR: "/d" }],
    ] as const) {
      const { settings, warnings } = load(argv, environment);
      assert.equal(settings.name, "by-file");
      assert.equal(settings.dataFolder, "by-file.etcd");
      assert.equal(settings.flags["max-txn-ops"], 7);
      assert.deepEqual(warnings[0]?.names.toSorted(), ["--name", "ETCD_DATA_DIR"]);
    }
  });
});

test("loadStoreConfig() refuses an unknown key of a config file, naming the nearest", () => {
  withFile("listen-clinet-urls: http://127.0.0.1:1\n", (path) => {
    assert.equal(
      refusal(["--config-file", path]),
      `Cannot use config file ${path}: unknown key "listen-clinet-urls", did you mean "listen-client-urls"?`,
    );
  });
});

test("loadStoreConfig() refuses a config file that is not there, not YAML or not a mapping", () => {
  assert.match(
    refusal(["--config-file=/does/not/exist"]),
    /^Cannot use config file \/does\/not\/exist: ENOENT/,
  );
  withFile("a: [", (path) => assert.match(refusal(["--config-file", path]), /^Cannot use config file .*: /));
  withFile("- a\n", (path) =>
    assert.match(refusal(["--config-file", path]), /it is not a mapping of keys to values$/),
  );
});

test("loadStoreConfig() refuses an unknown flag, naming the nearest", () => {
  assert.equal(
    refusal(["--dta-dir=x"]),
    'Cannot read command line: unknown flag --dta-dir, did you mean "data-dir"?',
  );
  assert.equal(
    refusal(["--qqqqqqqqqqqqqqqqqqqqqqqqqqqqq=x"]),
    "Cannot read command line: unknown flag --qqqqqqqqqqqqqqqqqqqqqqqqqqqqq; --help lists the known ones",
  );
  assert.equal(refusal(["serve"]), 'Cannot read command line: "serve" is not a valid flag');
  assert.equal(refusal(["--name"]), "Cannot read command line: flag --name needs a value");
});

test("loadStoreConfig() warns of unknown variables and of flags without effect", () => {
  const { warnings } = load(["--enable-pprof", "--snapshot-catchup-entries=5"], {
    ETCD_NMAE: "x",
    ETCD_LOGGER: "zap",
  });
  assert.deepEqual(
    warnings.map(({ names }) => names.toSorted()),
    [["ETCD_NMAE"], ["--enable-pprof", "--snapshot-catchup-entries", "ETCD_LOGGER"]],
  );
});

test("loadStoreConfig() refuses flags whose absence would betray who sets them", () => {
  assert.equal(refusal(["--client-cert-auth"]), "Cannot use --client-cert-auth: TLS is not in this release");
  assert.equal(
    refusal([], { ETCD_CERT_FILE: "/c" }),
    "Cannot use ETCD_CERT_FILE: TLS is not in this release",
  );
  settings(["--client-cert-auth=false", "--cert-file=", "--host-whitelist=*"]);
  withFile("client-transport-security:\n  cert-file: /c\n", (path) => {
    assert.match(
      refusal(["--config-file", path]),
      /"client-transport-security" of .*TLS is not in this release/,
    );
  });
});

test("loadStoreConfig() refuses values that are none, with flag, value and expectation", () => {
  const table: readonly (readonly [argv: readonly string[], message: string])[] = [
    [["--max-txn-ops=many"], 'Cannot use --max-txn-ops "many": expected a whole number from 0 to 4294967295'],
    [
      ["--election-timeout=100"],
      "--election-timeout[100ms] should be at least as 5 times as --heartbeat-interval[100ms]",
    ],
    [
      ["--election-timeout=50001"],
      "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
    ],
    [["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"],
    [["--election-timeout=0"], "--election-timeout must be >0 (set to 0ms)"],
    [["--strict-reconfig-check=maybe"], 'Cannot use --strict-reconfig-check "maybe": expected true or false'],
    [
      ["--log-level=loud"],
      'Cannot use --log-level "loud": expected one of debug, info, warn, error, panic, fatal',
    ],
    [
      ["--watch-progress-notify-interval=5"],
      'Cannot use --watch-progress-notify-interval "5": expected a duration such as "10m", "1h30m" or "500ms"',
    ],
    [
      ["--auto-compaction-mode=daily"],
      'Cannot use --auto-compaction-mode "daily": expected one of periodic, revision',
    ],
    [
      ["--auto-compaction-retention=soon"],
      'Cannot use --auto-compaction-retention "soon": expected a duration such as "10m" or "1h", or a number of hours',
    ],
    [
      ["--auto-compaction-mode=revision", "--auto-compaction-retention=1h"],
      'Cannot use --auto-compaction-retention "1h": expected a number of revisions, as --auto-compaction-mode is "revision"',
    ],
    [
      ["--listen-client-urls=127.0.0.1:2379", "--advertise-client-urls=http://a:1"],
      'Cannot use --listen-client-urls "127.0.0.1:2379": expected a URL such as http://127.0.0.1:2379, not "127.0.0.1:2379"',
    ],
    [
      ["--listen-client-urls=http://127.0.0.1", "--advertise-client-urls=http://a:1"],
      'Cannot use --listen-client-urls "http://127.0.0.1": expected a URL with host and port, such as http://127.0.0.1:2379, not "http://127.0.0.1"',
    ],
    [
      ["--listen-client-urls=http://127.0.0.1:1/x", "--advertise-client-urls=http://a:1"],
      'Cannot use --listen-client-urls "http://127.0.0.1:1/x": expected a URL without a path, not "http://127.0.0.1:1/x"',
    ],
    [
      ["--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=http://a:1"],
      "Cannot use --listen-client-urls https://127.0.0.1:1: TLS is not in this release, expected http://<address>:<port>",
    ],
    [
      ["--listen-client-urls=http://example.com:1", "--advertise-client-urls=http://a:1"],
      'Cannot use --listen-client-urls http://example.com:1: expected an IP address to listen on, not the name "example.com"',
    ],
    [
      ["--listen-client-urls=http://127.0.0.1:1"],
      "--advertise-client-urls is required when --listen-client-urls is set explicitly",
    ],
    [
      ["--initial-cluster=default"],
      "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ",
    ],
    [
      ["--initial-cluster=a=http://a"],
      'error setting up initial cluster: URL address does not have the form "host:port": http://a',
    ],
    [
      ["--initial-cluster=a=http://a:2380/x"],
      "error setting up initial cluster: URL must not contain a path: http://a:2380/x",
    ],
    [
      ["--initial-cluster=a=https://a:2380"],
      "error setting up initial cluster: TLS is not in this release: https://a:2380",
    ],
    [
      ["--initial-advertise-peer-urls=https://a:2380"],
      '--initial-advertise-peer-urls "https://a:2380" cannot be used: TLS is not in this release: https://a:2380',
    ],
    [
      ["--listen-peer-urls=http://example.com:1"],
      'Cannot use --listen-peer-urls http://example.com:1: expected an IP address to listen on, not the name "example.com"',
    ],
    [["--version=maybe"], 'Cannot use --version "maybe": expected true or false'],
  ];
  for (const [argv, message] of table) assert.equal(refusal(argv), message);
});

test("loadStoreConfig() reads --auto-compaction-retention as etcd does", () => {
  const table: readonly (readonly [mode: string, retention: string, expected: unknown])[] = [
    ["periodic", "0", { kind: "off" }],
    ["periodic", "2", { kind: "periodic", retentionMs: 7_200_000 }],
    ["periodic", "10m", { kind: "periodic", retentionMs: 600_000 }],
    ["periodic", "1h30m", { kind: "periodic", retentionMs: 5_400_000 }],
    ["revision", "1000", { kind: "revision", retention: 1_000 }],
    ["revision", "0", { kind: "off" }],
  ];
  for (const [mode, retention, expected] of table) {
    const argv = [`--auto-compaction-mode=${mode}`, `--auto-compaction-retention=${retention}`];
    assert.deepEqual(settings(argv).autoCompaction, expected, `${mode} ${retention}`);
  }
});

test("loadStoreConfig() answers --version and --help before anything else is looked at", () => {
  assert.deepEqual(loadStoreConfig(["--version", "--max-txn-ops=x"], {}), { kind: "version" });
  const help = loadStoreConfig(["-h"], {});
  assert.equal(help.kind, "help");
  for (const name of Object.keys(storeFlagsSchema.shape)) {
    assert.ok(help.kind === "help" && help.text.includes(`--${name} '`), name);
  }
});

test("every flag is in one class alone", () => {
  const classes = [
    Object.keys(storeFlagsSchema.shape),
    FLAGS_WITHOUT_EFFECT,
    Object.keys(FLAGS_REFUSED),
  ].flat();
  assert.equal(new Set(classes).size, classes.length);
  assert.equal(new Set(KNOWN_FLAGS).size, KNOWN_FLAGS.length);
});

test("parseGoDuration() reads what Go reads, and nothing else", () => {
  const table: readonly (readonly [text: string, ms: number | undefined])[] = [
    ["0", 0],
    ["1.5h", 5_400_000],
    ["2m3s4ms", 123_004],
    [".5s", 500],
    ["-1s", -1_000],
    ["1us", 0.001],
    ["", undefined],
    ["1", undefined],
    ["1d", undefined],
    ["1h 2m", undefined],
    [".s", undefined],
  ];
  for (const [text, ms] of table) assert.equal(parseGoDuration(text), ms, text);
});
