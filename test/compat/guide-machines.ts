import { rmSync } from "node:fs";
import path from "node:path";
import { etcdctl } from "../support/etcd.ts";
import {
  eventually,
  type RunningProcess,
  type RunResult,
  spawnBin,
  temporaryFolder,
} from "../support/process.ts";

/** Peer and client port are the guide's own; what stands for its addresses is a network of the loopback device by run. */
const PEER_PORT = 2380;
const CLIENT_PORT = 2379;
const NETWORK = `127.${randomByte()}.${randomByte()}`;

/** Addresses of the guide's machines: 10.0.1.10, 10.0.1.11, … there. */
export function machineAddress(index: number): string {
  return `${NETWORK}.${10 + index}`;
}

/** A machine of the guide: `logstore` is started on it as etcd is there, by the commands of the guide. */
export class GuideMachine {
  readonly name: string;
  readonly address: string;
  readonly #folder: string;
  #process: RunningProcess | undefined;

  constructor(name: string, index: number) {
    this.name = name;
    this.address = machineAddress(index);
    this.#folder = temporaryFolder(`guide-${name}`);
  }

  get peerUrl(): string {
    return `http://${this.address}:${PEER_PORT}`;
  }

  get clientUrl(): string {
    return `http://${this.address}:${CLIENT_PORT}`;
  }

  /** Where it keeps its data, when no flag says otherwise. */
  get dataFolder(): string {
    return path.join(this.#folder, `${this.name}.etcd`);
  }

  /** Starts it in a folder of its own, where `NAME.etcd` is made if no flag says otherwise; resolves when it serves. */
  async start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#process = await spawnBin("logstore", args, {
      cwd: this.#folder,
      env,
      readyLine: "ready to serve client requests",
    });
  }

  /** Starts it where it may never serve. */
  async spawn(args: readonly string[]): Promise<void> {
    this.#process = await spawnBin("logstore", args, { cwd: this.#folder });
  }

  /** Starts it where it is to refuse; resolves with what it printed, when it has ended with exit code 1. */
  async startInVain(args: readonly string[]): Promise<string> {
    const member = await spawnBin("logstore", args, { cwd: this.#folder });
    this.#process = member;
    const { code } = await member.exited;
    if (code !== 1) throw new Error(`${this.name} ended with exit code ${code}, not 1: ${member.output()}`);
    return member.output();
  }

  /** SIGKILL. */
  async crash(): Promise<void> {
    await this.#process?.kill();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.#process?.exited;
  }

  output(): string {
    return this.#process?.output() ?? "";
  }

  /** What a new disk has. */
  loseDisk(): void {
    rmSync(this.dataFolder, { recursive: true });
  }
}

/** Runs etcdctl, and requires that it succeeds. */
export async function ctl(machines: readonly GuideMachine[], ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tryCtl(machines, ...args);
  if (code !== 0) throw new Error(`etcdctl ${args.join(" ")} failed: ${stdout}${stderr}`);
  return stdout;
}

export function tryCtl(machines: readonly GuideMachine[], ...args: string[]): Promise<RunResult> {
  return etcdctl(args, { endpoint: machines.map(({ clientUrl }) => clientUrl).join(",") });
}

/** Waits until all of these machines are healthy members. */
export async function healthy(machines: readonly GuideMachine[]): Promise<void> {
  await eventually(() => ctl(machines, "endpoint", "health"), { timeoutMs: 20_000, intervalMs: 100 });
}

export interface ListedMember {
  readonly id: string;
  readonly started: boolean;
  readonly name: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
  readonly isLearner: boolean;
}

/** `etcdctl member list`, by name. */
export async function memberList(machines: readonly GuideMachine[]): Promise<Map<string, ListedMember>> {
  const lines = (await ctl(machines, "member", "list")).trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [id = "", state, name = "", peerUrl = "", clientUrl = "", learner] = line.split(", ");
      return [
        name,
        { id, started: state === "started", name, peerUrl, clientUrl, isLearner: learner === "true" },
      ];
    }),
  );
}

/** The ETCD_* variables that `etcdctl member add` prints. */
export function printedVariables(output: string): Record<string, string> {
  return Object.fromEntries(
    [...output.matchAll(/^(ETCD_\w+)="(.*)"$/gm)].map(([, name, value]) => [name, value]),
  );
}

function randomByte(): number {
  return 1 + Math.floor(Math.random() * 254);
}
