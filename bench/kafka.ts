// A file of 3 M lines to a real broker: ours with and without headers, plain and compressed, beside kcat. See README.md here.
// Run: node bench/kafka.ts [--lines 3000000] [--rounds 3] [--only NAME]
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom } from "../base/random.ts";
import { startKafka, uniqueTopic, withAdmin } from "../test/support/kafka.ts";

const LINE_BYTES = 150;
const RSS_POLL_MS = 20;
const WIDTHS = [24, 10, 14, 16, 14, 12, 10];
const HEADER = ["", "M lines/s", "M lines/CPU s", "without start", "requests MiB", "stored MiB", "peak MiB"]
  .map((title, i) => (i === 0 ? title.padEnd(WIDTHS[0] ?? 0) : title.padStart(WIDTHS[i] ?? 0)))
  .join("");

interface Result {
  readonly lines: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly startCpuMs: number;
  readonly maxRssMiB: number;
  /** Sum of the requests' sizes; undefined where the contestant does not tell. */
  readonly requestBytes: number | undefined;
  /** Of the topic at the broker, which keeps batches as they were sent. */
  readonly storedBytes: number | undefined;
}

interface Contestant {
  readonly name: string;
  run(target: Target): Promise<Omit<Result, "storedBytes">>;
}

interface Target {
  readonly brokers: string;
  readonly topic: string;
  readonly file: string;
  readonly lines: number;
}

const { values } = parseArgs({
  options: {
    lines: { type: "string", default: "3000000" },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
const lines = Number(values.lines);
const rounds = Number(values.rounds);
const folder = realpathSync(mkdtempSync(join(tmpdir(), "logagent-bench-kafka-")));
const hasKcat = spawnSync("kcat", ["-V"]).error === undefined;
if (!hasKcat) console.log("kcat is not installed (Debian: apt install kcat): measured without it");
const contestants = [
  ...(hasKcat ? [kcat("none"), kcat("zstd")] : []),
  ours("none", false),
  ours("none", false, "one at a time"),
  ours("none", true),
  ours("zstd", false),
  ours("zstd", true),
].filter(({ name }) => name.includes(values.only));
const dataDir = join(folder, "kafka");
const kafka = await startKafka({
  dataDir,
  jvm: "full",
  heapMiB: 1024,
  settings: { "log.segment.delete.delay.ms": "1" },
});
try {
  const file = join(folder, "bench.log");
  console.log(`writing ${lines} lines of ${LINE_BYTES} bytes`);
  writeLines(file, lines);
  const results = new Map<string, Result[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      const topic = uniqueTopic("bench");
      await kafka.createTopic(topic);
      const target = { brokers: kafka.brokers.join(","), topic, file, lines };
      const result = { ...(await contestant.run(target)), storedBytes: storedBytes(dataDir, topic) };
      await withAdmin(kafka.brokers, (admin) => admin.deleteTopics({ topics: [topic] }));
      if (result.lines !== lines)
        throw new Error(`${contestant.name} sent ${result.lines} lines, expected ${lines}`);
      results.get(contestant.name)?.push(result);
      console.log(`round ${round + 1}  ${row(contestant.name, result)}`);
    }
  }
  console.log(
    `\nmedians of ${rounds} rounds, taken in turns; 1 topic, 1 partition, 1 broker on the same machine`,
  );
  const medians = [...results].map(([name, all]) => ({ name, result: medianOf(all) }));
  const yardstick = medians[0];
  console.log(HEADER);
  for (const { name, result } of medians) {
    const ratio = yardstick === undefined ? 1 : yardstick.result.wallMs / result.wallMs;
    const cpuRatio = yardstick === undefined ? 1 : yardstick.result.cpuMs / result.cpuMs;
    console.log(`${row(name, result)}  ×${ratio.toFixed(2)} ×${cpuRatio.toFixed(2)}`);
  }
} finally {
  await kafka.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** With numbers (sink.idempotent) and five batches on their way, or without and one. */
function ours(compression: "none" | "zstd", headers: boolean, mode?: "one at a time"): Contestant {
  return {
    name: `logagent ${compression}${headers ? ", headers" : ""}${mode === undefined ? "" : ", one"}`,
    run: async ({ brokers, topic, file, lines: count }) => {
      const args = ["--brokers", brokers, "--topic", topic, "--file", file, "--lines", String(count)];
      const sender = join(import.meta.dirname, "kafka-sender.ts");
      const more = ["--compression", compression, ...(headers ? ["--headers"] : [])];
      if (mode !== undefined) more.push("--one-at-a-time");
      const child = spawn(process.execPath, [...process.execArgv, sender, ...args, ...more], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      return JSON.parse(await outputOf(child)) as Omit<Result, "storedBytes">;
    },
  };
}

/** The console producer on librdkafka, which is what most shippers are built on. */
function kcat(compression: "none" | "zstd"): Contestant {
  return {
    name: `kcat ${compression}`,
    run: async ({ brokers, topic, file, lines: count }) => {
      const args = ["-P", "-b", brokers, "-t", topic, "-X", "acks=all", "-z", compression, "-l", file];
      // A shell counts the CPU time of what it ran.
      const script = 'TIMEFORMAT="%R %U %S"; time kcat "$@"';
      const child = spawn("bash", ["-c", script, "kcat", ...args], { stdio: ["ignore", "ignore", "pipe"] });
      const rss = watchRss(child.pid ?? 0);
      const [real = 0, user = 0, system = 0] = (await outputOf(child, "stderr"))
        .trim()
        .split(/\s+/)
        .slice(-3)
        .map(Number);
      return {
        lines: count,
        wallMs: real * 1000,
        cpuMs: (user + system) * 1000,
        startCpuMs: 0,
        maxRssMiB: rss(),
        requestBytes: undefined,
      };
    },
  };
}

async function outputOf(child: ChildProcess, stream: "stdout" | "stderr" = "stdout"): Promise<string> {
  let text = "";
  child[stream]?.on("data", (data: Buffer) => {
    text += data.toString();
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`A contestant ended with code ${code}: ${text}`);
  return text;
}

/** Peak resident memory of the children of `pid`, in MiB. */
function watchRss(pid: number): () => number {
  let peakKiB = 0;
  const timer = setInterval(() => {
    try {
      for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")) {
        const [, peak = "0"] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, "utf8")) ?? [];
        peakKiB = Math.max(peakKiB, Number(peak));
      }
    } catch {
      // It has not started, or has ended.
    }
  }, RSS_POLL_MS);
  return () => {
    clearInterval(timer);
    return peakKiB / 1024;
  };
}

function storedBytes(data: string, topic: string): number | undefined {
  try {
    const partition = join(data, "data", `${topic}-0`);
    const logs = readdirSync(partition).filter((name) => name.endsWith(".log"));
    return logs.reduce((sum, name) => sum + statSync(join(partition, name)).size, 0);
  } catch {
    return undefined; // the broker of KAFKA_BROKERS keeps its data elsewhere
  }
}

/** Lines like those of a web server's access log, each of the same length; the same for the same count. */
function writeLines(file: string, count: number): void {
  const random = seededRandom(1);
  const pick = <T>(all: readonly T[]) => all[Math.floor(random.next() * all.length)] as T;
  const agents = [
    "Mozilla/5.0 (X11; Linux x86_64)",
    "curl/8.5.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5)",
  ];
  const fd = openSync(file, "w");
  let block = "";
  for (let i = 0; i < count; i++) {
    const address = `10.${i & 255}.${Math.floor(random.next() * 256)}.${Math.floor(random.next() * 256)}`;
    const request = `GET /api/v1/${pick(["orders", "users", "cart"])}/${Math.floor(random.next() * 1e7)}`;
    const answer = `${pick([200, 200, 200, 304, 404, 500])} ${Math.floor(random.next() * 1e5)}`;
    const at = new Date(1_700_000_000_000 + i * 3).toISOString();
    block += `${`${address} - - [${at}] "${request} HTTP/1.1" ${answer} "-" "${pick(agents)}"`.padEnd(LINE_BYTES, " ").slice(0, LINE_BYTES)}\n`;
    if (block.length > 1 << 20 || i === count - 1) {
      writeSync(fd, block);
      block = "";
    }
  }
  closeSync(fd);
}

function medianOf(results: readonly Result[]): Result {
  const sorted = results.toSorted((a, b) => a.wallMs - b.wallMs);
  return sorted[sorted.length >> 1] as Result;
}

function row(name: string, result: Result): string {
  const mib = (bytes: number | undefined) => (bytes === undefined ? "" : (bytes / 2 ** 20).toFixed(0));
  const perSecond = result.lines / result.wallMs / 1000;
  const perCpuSecond = result.lines / result.cpuMs / 1000;
  const steady = result.lines / (result.cpuMs - result.startCpuMs) / 1000;
  const cells = [
    perSecond.toFixed(2),
    perCpuSecond.toFixed(2),
    steady.toFixed(2),
    mib(result.requestBytes),
    mib(result.storedBytes),
    result.maxRssMiB.toFixed(0),
  ];
  return [name.padEnd(WIDTHS[0] ?? 0), ...cells.map((cell, i) => cell.padStart(WIDTHS[i + 1] ?? 0))].join("");
}
