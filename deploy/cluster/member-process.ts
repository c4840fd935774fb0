import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { leash, unleash } from "../leash.ts";

const BIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "store", "bin.js");
const READY_TEXT = "ready to serve client requests";
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 20;
const LAST_LINES = 10;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface MemberProcessOptions {
  readonly args: readonly string[];
  /** Added to this process's environment; undefined takes a variable out. This process's own ETCD_* are not passed on. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Takes what it prints; appended to. */
  readonly logFile: string;
}

/** One run of `logstore`. It ends when the process that started it does, at the latest. */
export class MemberProcess {
  readonly pid: number;
  /** Resolves when it has ended, however that came. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #logFile: string;
  /** Bytes of the log that are of earlier runs. */
  readonly #logStart: number;
  #ended = false;
  #isPaused = false;

  private constructor(child: ChildProcess, logFile: string, logStart: number) {
    if (child.pid === undefined) {
      // The reason comes as an event, which ends this process if nobody takes it.
      throw new Error(`Cannot start ${process.execPath} for logstore`);
    }
    this.pid = child.pid;
    this.#child = child;
    this.#logFile = logFile;
    this.#logStart = logStart;
    leash(this.pid);
    // Whoever forgot to stop it is not kept from ending.
    child.unref();
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#ended = true;
        unleash(this.pid);
        resolve({ code, signal });
      });
    });
  }

  /** Starts it and returns at once; {@link ready} waits. */
  static spawn({ args, env, logFile }: MemberProcessOptions): MemberProcess {
    mkdirSync(dirname(logFile), { recursive: true });
    // Output goes to a file: a busy or stopped reader of a pipe would hold the member up.
    const log = openSync(logFile, "a");
    try {
      const logStart = fstatSync(log).size;
      const child = spawn(process.execPath, [BIN, ...args], {
        env: { ...withoutEtcdVariables(process.env), ...env },
        stdio: ["ignore", log, log],
        // A group of its own: Ctrl-C at the terminal is for the one who decides about all members.
        detached: true,
      });
      return new MemberProcess(child, logFile, logStart);
    } finally {
      closeSync(log);
    }
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** What this run printed so far. */
  output(): string {
    const log = openSync(this.#logFile, "r");
    try {
      const buffer = Buffer.alloc(fstatSync(log).size - this.#logStart);
      return buffer.toString("utf8", 0, readSync(log, buffer, 0, buffer.length, this.#logStart));
    } finally {
      closeSync(log);
    }
  }

  /** The end of what it printed, for a message. */
  lastLines(count = LAST_LINES): readonly string[] {
    return this.output().trimEnd().split("\n").slice(-count);
  }

  /** Resolves when it serves clients, which takes a leader. Throws, with its last lines, when it ends first. */
  async ready(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      // Asked before the output is read: what it printed last is not missed.
      const ended = this.#ended;
      const late = performance.now() >= deadline;
      if (this.output().includes(READY_TEXT)) return;
      if (ended || late) {
        const why = ended ? "it ended" : `${timeoutMs} ms passed`;
        throw new Error(
          `${this.#logFile}: ${why} without "${READY_TEXT}". Its last lines:\n${this.lastLines().join("\n")}`,
        );
      }
      await sleep(POLL_MS);
    }
  }

  /** SIGSTOP: it keeps its connections and answers nobody. */
  pause(): void {
    this.#isPaused = this.#child.kill("SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.kill("SIGCONT");
    this.#isPaused = false;
  }

  /** SIGKILL. */
  async kill(): Promise<Exit> {
    if (!this.#ended) {
      this.#child.ref();
      this.#child.kill("SIGKILL");
    }
    return this.exited;
  }

  /** SIGTERM, also when it is paused; SIGKILL after a limit. */
  async stop(timeoutMs = STOP_TIMEOUT_MS): Promise<Exit> {
    if (this.#ended) return this.exited;
    this.#child.ref();
    this.#child.kill("SIGTERM");
    this.resume();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), timeoutMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}

function withoutEtcdVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("ETCD_")));
}
