// Many files of mixed rates through a real agent: is every line there once and in order, how late is the slowest file, what
// does the agent take? See README.md here. Ends by itself; exit code 1 when something does not hold.
// Run: node bench/many-files.ts [--files 10000] [--minutes 10] [--memory-max MIB] [--sink kafka|file]
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { runBin } from "../test/support/process.ts";
import { CONFIG_KEY, openClient, type SceneAgent, startAgent, startLogstore } from "../test/support/scene.ts";
import { Arrivals } from "./many-files/arrivals.ts";
import { cpuSeconds, inMiB, metricOf, peakRssMiB, rssMiB } from "./many-files/process-figures.ts";
import { folderNames, type Rates, rateOf, ratesOf } from "./many-files/rates.ts";
import { fileSink, kafkaSink } from "./many-files/sinks.ts";
import type { WriterTask } from "./many-files/writer.ts";

/** A file none of whose lines arrives within this time was starved. */
const STARVED_MS = 30_000;
const REPORT_EACH_MS = 10_000;
/** What was written last has this long to arrive. */
const REST_MS = 60_000;
const MIB = 1024 * 1024;
/** As pino numbers them. */
const WARN_LEVEL = 40;

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "10000" },
    minutes: { type: "string", default: "10" },
    "memory-max": { type: "string", default: "" },
    sink: { type: "string", default: "kafka" },
  },
});
const files = Number(values.files);
const seconds = Number(values.minutes) * 60;
const limitMiB = values["memory-max"] === "" ? undefined : Number(values["memory-max"]);
const rates = ratesOf(files);
const topics = folderNames(files);

await using store = await startLogstore();
await using sink = values.sink === "kafka" ? await kafkaSink(topics) : await fileSink();
const memory = limitMiB === undefined ? {} : { memory: { max: limitMiB * MIB } };
await using agent = await startAgent({ endpoint: store.endpoint, sink: sink.section, more: memory });
const { pid } = agent.running();
const arrivals = new Arrivals(files);
const task: WriterTask = { folder: agent.logs, files, rates, seconds };
const writer = new Worker(new URL("./many-files/writer.ts", import.meta.url), { workerData: task });
await said(writer);
console.log(`${files} files: ${JSON.stringify(rates)}; ${seconds} s; sink ${values.sink}`);

await sink.read((text) => arrivals.arrived(text, Date.now()));
const idle = { rssMiB: rssMiB(pid), cpuSeconds: cpuSeconds(pid) };
const startMs = performance.now();
await putConfig();
while (arrivals.found < files) await sleep(20);
console.log(`each file's first line arrived in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
const found = { cpuSeconds: cpuSeconds(pid), atMs: performance.now() };

let loopLagMaxMs = 0;
const reporting = setInterval(() => void report().catch(() => undefined), REPORT_EACH_MS);
writer.postMessage("go on");
const written = (await said(writer)) as Uint32Array;
const deadlineMs = performance.now() + REST_MS;
while (!arrivals.isComplete(written) && performance.now() < deadlineMs) await sleep(20);
clearInterval(reporting);
const cpu = cpuSeconds(pid) - found.cpuSeconds;
const wall = (performance.now() - found.atMs) / 1000;
const peak = peakRssMiB(pid);
await agent.running().stop();
arrivals.check(written);
const audit = await runBin("logagent", ["audit", "--config", agent.configFile]);
conclude();

async function said(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
}

async function putConfig(): Promise<void> {
  await using client = openClient(store.endpoint);
  const entries = topics.map((topic) => ({ path: `${agent.logs}/${topic}/*.log`, topic }));
  await client.put(CONFIG_KEY, JSON.stringify(entries), { signal: AbortSignal.timeout(20_000) });
}

async function report(): Promise<void> {
  const text = await metricsOf(agent);
  const lagMs = metricOf(text, "nodejs_eventloop_lag_max_seconds") * 1000;
  loopLagMaxMs = Math.max(loopLagMaxMs, lagMs);
  const figures = [
    `${((performance.now() - found.atMs) / 1000).toFixed(0)} s: ${arrivals.lines} lines`,
    `RSS ${rssMiB(pid).toFixed(0)} MiB`,
    `CPU ${(cpuSeconds(pid) - found.cpuSeconds).toFixed(1)} s`,
    `behind ${inMiB(metricOf(text, "logagent_bytes_behind"))} MiB`,
    `loop held up ${lagMs.toFixed(0)} ms at most`,
  ];
  console.log(figures.join(", "));
}

async function metricsOf({ http }: SceneAgent): Promise<string> {
  return (await fetch(`http://${http}/metrics`)).text();
}

/** What stands in a log at WARN or above, and how often. */
function warningsIn(log: string): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const text of log.split("\n").filter((one) => one.startsWith("{"))) {
    const { level, msg } = JSON.parse(text) as { readonly level: number; readonly msg: string };
    if (level >= WARN_LEVEL) times.set(msg, (times.get(msg) ?? 0) + 1);
  }
  return times;
}

function conclude(): void {
  const problems = [...arrivals.problems];
  if (arrivals.problemCount > problems.length) problems.push(`${arrivals.problemCount} such problems in all`);
  console.log(`${arrivals.lines} lines of ${written.reduce((sum, lines) => sum + lines, 0)}`);
  for (const rate of ["busy", "lineEachSecond", "lineEachMinute"] satisfies (keyof Rates)[]) {
    const delays = arrivals.slowestMs((file) => rateOf(file, rates) === rate);
    const at = (share: number) => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? 0;
    const shown = [0.5, 0.99, 1].map((share) => `${(at(share) / 1000).toFixed(2)} s`).join(", ");
    console.log(`slowest line of each file, ${rate}: median, p99, max: ${shown}`);
    if (at(1) > STARVED_MS) problems.push(`a file was starved for ${at(1)} ms`);
  }
  const cpuShare = ((cpu / wall) * 100).toFixed(0);
  console.log(
    `CPU ${cpu.toFixed(1)} s in ${wall.toFixed(0)} s (${cpuShare} % of a core); event loop held up ${loopLagMaxMs.toFixed(0)} ms at most`,
  );
  console.log(
    `RSS ${idle.rssMiB.toFixed(0)} MiB before the files, peak ${peak.toFixed(0)} MiB, limit ${limitMiB ?? "none"}`,
  );
  if (limitMiB !== undefined && peak > limitMiB)
    problems.push(`peak RSS ${peak.toFixed(0)} MiB is above the limit of ${limitMiB} MiB`);
  console.log(
    `logagent audit: exit code ${audit.code}\n${audit.stdout.trimEnd().split("\n").slice(-2).join("\n")}`,
  );
  if (audit.code !== 0) problems.push(`logagent audit: ${audit.stderr.slice(0, 2_000)}`);
  for (const [msg, times] of warningsIn(agent.running().output()))
    console.log(`the agent said ${times} times: ${msg}`);
  for (const problem of problems) console.log(`PROBLEM: ${problem}`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
