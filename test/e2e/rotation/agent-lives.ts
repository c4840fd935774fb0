import { cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode } from "../../../base/errors.ts";
import {
  type Exit,
  freePort,
  type RunningProcess,
  runBin,
  spawnBin,
  temporaryFolder,
} from "../../support/process.ts";
import { AGENT_IP } from "../../support/scene.ts";

const READY_LINE = "agent is ready";

/** A loss record as it is in the agent's log. */
export interface SaidLoss {
  readonly file: string;
  readonly path: string;
  readonly from: number;
  readonly to: number | "unknown";
}

/** One life of the agent, from its start to its SIGKILL. */
interface Life {
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  readonly process: RunningProcess;
  readonly checkpoints: Checkpoints;
}

/** Of a file's record: what was durable when a life began. */
export interface DurableFile {
  readonly id: string;
  readonly ino: string;
  readonly birthtimeNs: string;
  readonly offset: number;
}

type Checkpoints = ReadonlyMap<string, DurableFile>;

/** An agent that is killed and started again, and what each of its lives left: checkpoints, and loss records in its log. */
export class AgentLives implements AsyncDisposable {
  readonly logs = temporaryFolder("logs");
  readonly #folder = temporaryFolder("agent");
  readonly #lives: Life[] = [];
  #http = "";
  #configFile = "";

  static async start(options: {
    readonly endpoint: string;
    readonly brokers: readonly string[];
  }): Promise<AgentLives> {
    const agent = new AgentLives();
    agent.#http = `127.0.0.1:${await freePort()}`;
    agent.#configFile = path.join(agent.#folder, "agent.yaml");
    const config = {
      ip: AGENT_IP,
      store: { endpoints: [options.endpoint] },
      sink: { type: "kafka", brokers: options.brokers },
      dataDir: path.join(agent.#folder, "data"),
      allow: [`${agent.logs}/**`],
      http: agent.#http,
    };
    writeFileSync(agent.#configFile, JSON.stringify(config));
    await agent.#begin({ readyLine: READY_LINE });
    return agent;
  }

  get lives(): number {
    return this.#lives.length;
  }

  /** Which of its lives was it at a time; from 0 on. */
  lifeAt(timeMs: number): number {
    return this.#lives.findLastIndex(({ startedAtMs }) => startedAtMs <= timeMs);
  }

  /** How many bytes of a file were acknowledged, and that durable, when a life began. */
  readonly durableAt = (life: number, id: string): number | undefined =>
    this.#lives[life]?.checkpoints.get(id)?.offset;

  /** Every file that a checkpoint ever named. */
  *knownFiles(): Iterable<DurableFile> {
    for (const { checkpoints } of this.#lives) yield* checkpoints.values();
    yield* this.#checkpoints().values();
  }

  /** Waits until this life is ready, but no longer than so. */
  async ready(timeoutMs: number): Promise<void> {
    const output = () => this.#lives.at(-1)?.process.output() ?? "";
    const deadlineMs = performance.now() + timeoutMs;
    while (!output().includes(READY_LINE) && performance.now() < deadlineMs) await sleep(20);
  }

  /** SIGKILL, and the next life at once. */
  async killAndStart(): Promise<void> {
    await this.#lives.at(-1)?.process.kill();
    await this.#begin({});
  }

  /** Loss records of all lives, as they are in the log. */
  losses(): readonly SaidLoss[] {
    return this.#lives.flatMap(({ process }) => lossesIn(process.output()));
  }

  lossesOfThisLife(): readonly SaidLoss[] {
    return lossesIn(this.#lives.at(-1)?.process.output() ?? "");
  }

  async tasks(): Promise<string> {
    return (await fetch(`http://${this.#http}/tasks`)).text();
  }

  /** The sum of a metric's samples. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://${this.#http}/metrics`)).text();
    const samples = text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** Lives that came as far as being ready. */
  get readyLives(): number {
    return this.#lives.filter(({ process }) => process.output().includes(READY_LINE)).length;
  }

  /** Copies all that tells of its lives: logs and data folder. */
  keep(folder: string): void {
    cpSync(this.#folder, path.join(folder, "agent"), { recursive: true });
    for (const [life, { process, startedAtMs }] of this.#lives.entries()) {
      writeFileSync(path.join(folder, `life-${life}.log`), `started at ${startedAtMs}\n${process.output()}`);
    }
  }

  async stop(): Promise<Exit | undefined> {
    return this.#lives.at(-1)?.process.stop();
  }

  /** What `logagent audit` says, when it does not add up; after `stop()`. */
  async auditFailure(): Promise<string | undefined> {
    const { code, stdout, stderr } = await runBin("logagent", ["audit", "--config", this.#configFile]);
    return code === 0 ? undefined : `logagent audit ended with ${code}: ${stdout}${stderr}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #begin(options: { readonly readyLine?: string }): Promise<void> {
    const checkpoints = this.#checkpoints();
    const startedAtMs = Date.now();
    const process = await spawnBin("logagent", ["run", "--config", this.#configFile], options);
    this.#lives.push({ startedAtMs, process, checkpoints });
  }

  #checkpoints(): Checkpoints {
    const text = this.#newestCheckpoints();
    if (text === undefined) return new Map();
    // Lines of other things stand before those of files.
    const lines = text.split("\n").filter((line) => line.includes('"ino":'));
    const records = lines.map((line) => JSON.parse(line) as DurableFile);
    return new Map(records.map((record) => [record.id, record]));
  }

  #newestCheckpoints(): string | undefined {
    const folder = path.join(this.#folder, "data", "checkpoints");
    for (const name of ["checkpoints", "checkpoints.previous"]) {
      try {
        return readFileSync(path.join(folder, name), "utf8");
      } catch (error) {
        if (errorCode(error) !== "ENOENT") throw error;
      }
    }
    return undefined;
  }
}

function lossesIn(output: string): readonly SaidLoss[] {
  const lines = output.split("\n").filter((line) => line.includes('"loss":{') && line.endsWith("}"));
  return lines.map((line) => (JSON.parse(line) as { readonly loss: SaidLoss }).loss);
}
