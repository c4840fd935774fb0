import { writeFileSync } from "node:fs";
import path from "node:path";
import { StoreClient } from "../../store/client/client.ts";
import { startEtcd } from "./etcd.ts";
import { eventually, freePort, type RunningProcess, spawnBin, temporaryFolder } from "./process.ts";

/** A store as a test handles it: ours or a real etcd. */
export interface SceneStore extends AsyncDisposable {
  readonly endpoint: string;
  kill(): Promise<unknown>;
  restart(): Promise<void>;
}

/** Our store, one member, as a process on a folder and ports of its own. */
export async function startLogstore(): Promise<SceneStore> {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  const args = ["--data-dir", path.join(temporaryFolder("store"), "data"), "--listen-client-urls", endpoint];
  args.push("--advertise-client-urls", endpoint, "--listen-peer-urls", "http://127.0.0.1:0");
  const start = () => spawnBin("logstore", args, { readyLine: "ready to serve client requests" });
  let running = await start();
  return {
    endpoint,
    kill: () => running.kill(),
    restart: async () => {
      await running.kill();
      running = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await running.stop();
    },
  };
}

export const STORES = { logstore: startLogstore, etcd: startEtcd } as const;

/** An agent with identity `ip` in a folder of its own; logs to be shipped go to `logs`. */
export interface SceneAgent extends AsyncDisposable {
  readonly logs: string;
  readonly http: string;
  readonly configFile: string;
  readonly running: () => RunningProcess;
  kill(): Promise<unknown>;
  restart(): Promise<void>;
  tasks(): Promise<string>;
}

export const AGENT_IP = "scene";
export const CONFIG_KEY = `/logagent/${AGENT_IP}/collect_config`;

/** Starts an agent on `endpoint` with the given `sink:` section, and waits until it is ready. */
export async function startAgent(options: {
  readonly endpoint: string;
  readonly sink: Readonly<Record<string, unknown>>;
  readonly more?: Readonly<Record<string, unknown>>;
}): Promise<SceneAgent> {
  const folder = temporaryFolder("agent");
  const logs = temporaryFolder("logs");
  const http = `127.0.0.1:${await freePort()}`;
  const configFile = path.join(folder, "agent.yaml");
  const config = {
    ip: AGENT_IP,
    store: { endpoints: [options.endpoint] },
    sink: options.sink,
    dataDir: path.join(folder, "data"),
    allow: [`${logs}/**`],
    http,
    ...options.more,
  };
  writeFileSync(configFile, JSON.stringify(config));
  const start = () => spawnBin("logagent", ["run", "--config", configFile], { readyLine: "agent is ready" });
  let running = await start();
  return {
    logs,
    http,
    configFile,
    running: () => running,
    kill: () => running.kill(),
    restart: async () => {
      await running.kill();
      running = await start();
    },
    tasks: async () => (await fetch(`http://${http}/tasks`)).text(),
    [Symbol.asyncDispose]: async () => {
      await running.stop();
    },
  };
}

export function openClient(endpoint: string): StoreClient {
  return StoreClient.create({ endpoints: [endpoint] });
}

/** Puts a collect config and waits until the agent's tasks are those. */
export async function putConfig(
  client: StoreClient,
  agent: SceneAgent,
  entries: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  await client.put(CONFIG_KEY, JSON.stringify(entries), { signal: AbortSignal.timeout(20_000) });
  await eventually(async () => {
    const tasks = await agent.tasks();
    for (const { path: wanted } of entries) {
      if (!tasks.includes(JSON.stringify(wanted))) throw new Error(`no task for ${wanted} in ${tasks}`);
    }
  });
}
