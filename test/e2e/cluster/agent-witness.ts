import { appendFileSync, existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreClient } from "../../../store/client/client.ts";
import { ClientError } from "../../../store/client/client-error.ts";
import { eventually, temporaryFolder } from "../../support/process.ts";
import { AGENT_IP, CONFIG_KEY, type SceneAgent, startAgent } from "../../support/scene.ts";
import type { OnViolation } from "./revisions.ts";

/** Files whose tasks run all the time; one more comes and goes with the config. */
const STEADY = ["app", "api"];
const CHANGING = "job";
const TICK_MS = 10;
const ARRIVES_MS = 30_000;
const DELIVERED_MS = 30_000;
const CALL_TIMEOUT_MS = 20_000;
const RETRY_MS = 50;
const WARN = 40;
const NO_JSON = { level: Number.POSITIVE_INFINITY };

/**
 * A real agent on all endpoints, with tail tasks on files that grow all the time and a file sink. It is not to notice what
 * happens to the store: its tasks go on, changes of its config arrive, it logs no error, and no line is lost.
 */
export class AgentWitness implements AsyncDisposable {
  readonly #agent: SceneAgent;
  readonly #client: StoreClient;
  readonly #onViolation: OnViolation;
  readonly #out: string;
  readonly #stopping = new AbortController();
  readonly #lines = new Map<string, number>();
  readonly #writing: Promise<void>;
  #changes = 0;
  /** When the status key was made, and by whose lease it is held. */
  #statusKey: string | undefined;

  private constructor(parts: {
    readonly agent: SceneAgent;
    readonly client: StoreClient;
    readonly out: string;
    readonly onViolation: OnViolation;
  }) {
    this.#agent = parts.agent;
    this.#client = parts.client;
    this.#out = parts.out;
    this.#onViolation = parts.onViolation;
    this.#writing = this.#write();
  }

  static async start(endpoints: readonly string[], onViolation: OnViolation): Promise<AgentWitness> {
    const out = path.join(temporaryFolder("sink"), "out");
    const agent = await startAgent({
      endpoint: endpoints[0] ?? "",
      sink: { type: "file", path: out },
      more: { store: { endpoints } },
    });
    const client = StoreClient.create({ endpoints });
    const witness = new AgentWitness({ agent, client, out, onViolation });
    await witness.changeConfig();
    witness.#statusKey = await eventually(() => witness.#readStatusKey());
    return witness;
  }

  /** Changes of its config that arrived. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Gives it a config with one entry more, or less, and waits until its tasks are that. Resolves with the milliseconds from
   * the acknowledged put to there.
   */
  async changeConfig(): Promise<number> {
    const names = this.#changes % 2 === 0 ? [...STEADY, CHANGING] : STEADY;
    const entries = names.map((name) => ({ path: this.#file(name), topic: name }));
    await this.#put(JSON.stringify(entries));
    const startMs = performance.now();
    await eventually(
      async () => {
        const tasks = await this.#agent.tasks();
        const isThere = tasks.includes(this.#file(CHANGING));
        if (isThere !== names.includes(CHANGING)) throw new Error(`The config has not arrived: ${tasks}`);
      },
      { timeoutMs: ARRIVES_MS },
    ).catch((error: unknown) => this.#onViolation("agent", String(error)));
    this.#changes += 1;
    return performance.now() - startMs;
  }

  /** Ends it, once everything is delivered that was written to the steady files, and judges what it did. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#writing;
    for (const name of STEADY) await this.#assertDelivered(name);
    const statusKey = await this.#readStatusKey();
    if (statusKey !== this.#statusKey) {
      this.#onViolation(
        "agent",
        `its status key is ${statusKey}, it was ${this.#statusKey}: its lease ran out`,
      );
    }
    for (const line of this.#agent.running().output().trim().split("\n")) {
      // What is not JSON is Node's own: a warning, or a crash.
      const { level } = line.startsWith("{") ? (JSON.parse(line) as { readonly level: number }) : NO_JSON;
      if (level > WARN) this.#onViolation("agent", `it printed: ${line}`);
    }
    await this[Symbol.asyncDispose]();
  }

  /** Ends it at once, whatever it still had to do. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#writing;
    this.#client.close();
    await this.#agent[Symbol.asyncDispose]();
  }

  async #write(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      for (const name of [...STEADY, CHANGING]) {
        const number = this.#lines.get(name) ?? 0;
        appendFileSync(this.#file(name), `${name} #${number}\n`);
        this.#lines.set(name, number + 1);
      }
      await sleep(TICK_MS);
    }
  }

  async #assertDelivered(name: string): Promise<void> {
    const file = path.join(this.#out, `${name}.log`);
    const lines = this.#lines.get(name) ?? 0;
    const expected = Array.from({ length: lines }, (_, number) => `${name} #${number}\n`).join("");
    await eventually(
      () => {
        const found = existsSync(file) ? readFileSync(file, "utf8") : "";
        if (found === expected) return;
        const count = found.split("\n").length - 1;
        throw new Error(`Of ${lines} lines of ${name} arrived ${count}, or in another order`);
      },
      { timeoutMs: DELIVERED_MS },
    ).catch((error: unknown) => this.#onViolation("agent", String(error)));
  }

  async #readStatusKey(): Promise<string> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const { kv } = await this.#client.get(`/logagent/${AGENT_IP}/status`, { signal });
    if (kv === undefined) throw new Error("The agent has no status key");
    return `of revision ${kv.createRevision} under lease ${kv.lease.toString(16)}`;
  }

  /** A put of the same value may come twice. */
  async #put(value: string): Promise<void> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    for (;;) {
      try {
        await this.#client.put(CONFIG_KEY, value, { signal });
        return;
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  #file(name: string): string {
    return path.join(this.#agent.logs, `${name}.log`);
  }
}
