import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreClient } from "../../store/client/client.ts";
import type { StatusResult } from "../../store/client/results.ts";
import { type Exit, MemberProcess } from "./member-process.ts";

/** Where a member is. */
export interface MemberAddress {
  readonly name: string;
  /** `--listen-client-urls` and `--advertise-client-urls`. */
  readonly clientUrl: string;
  /** `--initial-advertise-peer-urls`: where the others look for it. */
  readonly peerUrl: string;
  /** `--listen-peer-urls`, if it is not the same: a proxy stands between. */
  readonly listenPeerUrl?: string;
}

export interface LocalMemberOptions extends MemberAddress {
  /** Its own: `data`, and `log` with what it prints. */
  readonly folder: string;
  /** `--initial-cluster …`, and more flags. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type MemberState = "stopped" | "running" | "paused";

/** Ended without having been asked to. */
export interface UnexpectedEnd {
  readonly exit: Exit;
  readonly lastLines: readonly string[];
}

const STATUS_TIMEOUT_MS = 1_000;

/** A member of a cluster on this machine, through all its runs. */
export class LocalMember {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly dataFolder: string;
  readonly logFile: string;
  /** Called when a run ends by itself. */
  onUnexpectedEnd: ((end: UnexpectedEnd) => void) | undefined;
  readonly #options: LocalMemberOptions;
  #process: MemberProcess | undefined;
  #isEndExpected = false;
  #isClosed = false;

  constructor(options: LocalMemberOptions) {
    this.#options = options;
    this.name = options.name;
    this.clientUrl = options.clientUrl;
    this.peerUrl = options.peerUrl;
    this.dataFolder = join(options.folder, "data");
    this.logFile = join(options.folder, "log");
  }

  get state(): MemberState {
    if (this.#process === undefined || this.#process.hasEnded) return "stopped";
    return this.#process.isPaused ? "paused" : "running";
  }

  /** Undefined while it is stopped. */
  get pid(): number | undefined {
    return this.state === "stopped" ? undefined : this.#process?.pid;
  }

  /** What the present run, or the last one, printed. */
  output(): string {
    return this.#process?.output() ?? "";
  }

  /** Starts it, if it is stopped, and returns at once: a member of several serves when the others are there too. */
  spawn(): void {
    if (this.#isClosed) throw new Error(`Cannot start member ${this.name}: its cluster is closed`);
    if (this.state !== "stopped") return;
    const { clientUrl, peerUrl, listenPeerUrl = peerUrl, env } = this.#options;
    this.#isEndExpected = false;
    const member = MemberProcess.spawn({
      args: [
        `--name=${this.name}`,
        `--data-dir=${this.dataFolder}`,
        `--listen-client-urls=${clientUrl}`,
        `--advertise-client-urls=${clientUrl}`,
        `--listen-peer-urls=${listenPeerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        ...this.#options.args,
      ],
      env,
      logFile: this.logFile,
    });
    this.#process = member;
    void this.#watch(member);
  }

  /** Waits until it serves, which takes a leader. Throws, with its last lines, when it ends instead, or the time is over. */
  async ready(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#process === undefined)
      throw new Error(`Member ${this.name} is not ready: it was never started`);
    await this.#process.ready(options.timeoutMs);
  }

  /** {@link spawn} and {@link ready}. */
  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** SIGKILL, also when it is paused. */
  async kill(): Promise<void> {
    this.#isEndExpected = true;
    await this.#process?.kill();
  }

  /** SIGTERM, and SIGKILL after a limit; resolves with how it ended, undefined if it was never started. */
  async stop(): Promise<Exit | undefined> {
    this.#isEndExpected = true;
    return this.#process?.stop();
  }

  /** {@link stop}, for good: it cannot be started again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.stop();
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.state === "running") this.#process?.pause();
  }

  /** SIGCONT. */
  resume(): void {
    if (this.state === "paused") this.#process?.resume();
  }

  /** Stops it if it runs, and starts it on the data it has; resolves when it serves, which takes a leader. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Resolves when the present run has ended, however that comes; at once when there is none. */
  async ended(): Promise<Exit | undefined> {
    return this.#process?.exited;
  }

  /** Its own answer to a status request; undefined when it gives none within a second. */
  async status(options: { readonly timeoutMs?: number } = {}): Promise<StatusResult | undefined> {
    if (this.state !== "running") return undefined;
    const timeoutMs = options.timeoutMs ?? STATUS_TIMEOUT_MS;
    using client = StoreClient.create({
      endpoints: [this.clientUrl],
      limits: { dialTimeoutMs: timeoutMs, tryTimeoutMs: timeoutMs, callTimeoutMs: timeoutMs, retriesMax: 0 },
    });
    try {
      return await client.status(this.clientUrl, { signal: AbortSignal.timeout(timeoutMs) });
    } catch {
      // Not up yet, paused meanwhile, cut off: the caller asks again or says so.
      return undefined;
    }
  }

  async #watch(member: MemberProcess): Promise<void> {
    const exit = await member.exited;
    if (this.#isEndExpected || this.#process !== member) return;
    this.onUnexpectedEnd?.({ exit, lastLines: member.lastLines() });
  }
}

/** Asks until the answer suits; throws what `otherwise` says when the time is over. */
export async function until<T>(
  ask: () => Promise<T | undefined>,
  options: {
    readonly timeoutMs: number;
    readonly intervalMs: number;
    readonly signal?: AbortSignal | undefined;
    readonly otherwise: () => string;
  },
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() >= deadline) throw new Error(options.otherwise());
    await sleep(options.intervalMs, undefined, { signal: options.signal });
  }
}
