import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreClient } from "../store/client/client.ts";
import { startEtcd } from "../test/support/etcd.ts";
import { freePort, spawnBin, temporaryFolder } from "../test/support/process.ts";

/**
 * From a put to a running task: how long after the store was asked to change the collect config does the agent run the
 * new task? Real processes, the same agent with our store and with a real etcd in turn; milliseconds from before the put
 * to the first answer of the agent's /tasks that shows the new list, asked every millisecond.
 *   node bench/put-to-task.ts [ROUNDS]
 */
const rounds = Number(process.argv[2] ?? 100);
const POLL_MS = 1;
const ROUND_LIMIT_MS = 10_000;

const ours = await measure("logstore", startLogstore);
const etcd = await measure("etcd 3.7.3", startEtcd);
process.stdout.write(`ratio of medians, logstore / etcd: ${(ours / etcd).toFixed(2)}\n`);

interface Store extends AsyncDisposable {
  readonly endpoint: string;
}

async function startLogstore(): Promise<Store> {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const args = [
    "--data-dir",
    temporaryFolder("store"),
    "--listen-client-urls",
    endpoint,
    "--advertise-client-urls",
  ];
  args.push(endpoint, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer);
  args.push("--initial-cluster", `default=${peer}`);
  const running = await spawnBin("logstore", args, { readyLine: "ready to serve client requests" });
  return { endpoint, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

/** Prints one row and returns the median in milliseconds. */
async function measure(name: string, startStore: () => Promise<Store>): Promise<number> {
  await using store = await startStore();
  const folder = temporaryFolder("bench-agent");
  const http = `127.0.0.1:${await freePort()}`;
  const config = join(folder, "agent.yaml");
  const settings = {
    ip: "bench",
    store: { endpoints: [store.endpoint] },
    sink: { type: "file", path: join(folder, "out") },
    dataDir: join(folder, "data"),
    allow: [`${folder}/**`],
    http,
  };
  writeFileSync(config, JSON.stringify(settings));
  await using agent = await spawnBin("logagent", ["run", "--config", config], {
    readyLine: "agent is ready",
  });
  await using client = StoreClient.create({ endpoints: [store.endpoint] });
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const path = join(folder, `round-${round}.log`);
    const startMs = performance.now();
    await client.put("/logagent/bench/collect_config", JSON.stringify([{ path, topic: "bench" }]), {
      signal: AbortSignal.timeout(ROUND_LIMIT_MS),
    });
    while (!(await runs(http, path))) {
      if (performance.now() - startMs > ROUND_LIMIT_MS)
        throw new Error(`No task after a put: ${agent.output()}`);
      await sleep(POLL_MS);
    }
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
  const figures = [at(0), at(0.5), at(0.99), at(1)].map((ms) => ms.toFixed(1));
  process.stdout.write(`${name}: ${rounds} puts; min, median, p99, max in ms: ${figures.join(", ")}\n`);
  return at(0.5);
}

async function runs(http: string, path: string): Promise<boolean> {
  const response = await fetch(`http://${http}/tasks`);
  return (await response.text()).includes(path);
}
