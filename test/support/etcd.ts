import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { ensureEtcd } from "../../deploy/parts.js";
import {
  freePort,
  type RunningProcess,
  type RunResult,
  run,
  startProcess,
  temporaryFolder,
} from "./process.ts";

export interface EtcdServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** SIGTERM, and SIGKILL after a limit. The data folder stays if it was given. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays, for restart(). */
  kill(): Promise<void>;
  /** Starts it again on the same ports and data, after stopping it if it still runs. */
  restart(): Promise<void>;
}

export interface EtcdOptions {
  readonly dataDir?: string;
  /** More flags: `["--quota-backend-bytes=16777216"]`. */
  readonly args?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Starts a real etcd of one member, and waits until it serves. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdServer> {
  const programs = await ensureEtcd();
  const dataDir = options.dataDir ?? temporaryFolder("etcd");
  mkdirSync(dataDir, { recursive: true });
  const server = new EtcdProcess({
    programs,
    options,
    dataDir,
    clientPort: await freePort(),
    peerPort: await freePort(),
  });
  await server.restart();
  return server;
}

export interface EtcdctlOptions {
  readonly endpoint?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

/** Runs the real Go etcdctl. A code other than 0 is a result, not an error. */
export async function etcdctl(args: readonly string[], options: EtcdctlOptions = {}): Promise<RunResult> {
  return runEtcdProgram("etcdctl", args, options);
}

/** Runs the real Go etcdutl. */
export async function etcdutl(args: readonly string[], options: EtcdctlOptions = {}): Promise<RunResult> {
  return runEtcdProgram("etcdutl", args, options);
}

/** Where a program of etcd is, for a test that keeps one running (`etcdctl watch`) with startProcess(). */
export async function etcdProgram(name: "etcd" | "etcdctl" | "etcdutl"): Promise<string> {
  return path.join(await ensureEtcd(), name);
}

async function runEtcdProgram(
  name: "etcdctl" | "etcdutl",
  args: readonly string[],
  { endpoint, env, ...rest }: EtcdctlOptions,
): Promise<RunResult> {
  return run(await etcdProgram(name), args, {
    ...rest,
    env: { ...(endpoint === undefined ? {} : { ETCDCTL_ENDPOINTS: endpoint }), ...env },
  });
}

interface EtcdParts {
  readonly programs: string;
  readonly options: EtcdOptions;
  readonly dataDir: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

class EtcdProcess implements EtcdServer {
  readonly endpoint: string;
  readonly #parts: EtcdParts;
  #process: RunningProcess | undefined;

  constructor(parts: EtcdParts) {
    this.#parts = parts;
    this.endpoint = `http://127.0.0.1:${parts.clientPort}`;
  }

  async restart(): Promise<void> {
    await this.#process?.stop();
    const { programs, options, dataDir, peerPort } = this.#parts;
    const peer = `http://127.0.0.1:${peerPort}`;
    const args = [
      "--name=one",
      `--data-dir=${path.join(dataDir, "data")}`,
      `--listen-client-urls=${this.endpoint}`,
      `--advertise-client-urls=${this.endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=one=${peer}`,
      ...(options.args ?? []),
    ];
    this.#process = await startProcess(path.join(programs, "etcd"), args, {
      readyLine: "ready to serve client requests",
      logFile: path.join(dataDir, "etcd.log"),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    if (this.#parts.options.dataDir === undefined)
      rmSync(this.#parts.dataDir, { recursive: true, force: true });
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
