import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { leash, unleash } from "../../deploy/leash.ts";

export { freePort } from "../../deploy/free-port.ts";

const root = path.resolve(import.meta.dirname, "../..");
const BINS = { logagent: "logagent/bin.js", logstore: "store/bin.js", logctl: "ctl/bin.js" };
export type BinName = keyof typeof BINS;

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const RUN_TIMEOUT_MS = 60_000;
const POLL_MS = 15;
const LINES_SHOWN = 40;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that a test started. It ends with the test at the latest. */
export interface RunningProcess extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when it has ended, by itself or by us. */
  readonly exited: Promise<Exit>;
  /** All it printed so far, stdout and stderr as they came. */
  output(): string;
  /** Waits until a line of its output matches, and returns that line. Throws, with the end of the output, when it ends first. */
  waitForLine(pattern: RegExp | string, options?: { readonly timeoutMs?: number }): Promise<string>;
  /** SIGTERM, and SIGKILL after a limit. */
  stop(options?: { readonly timeoutMs?: number }): Promise<Exit>;
  /** SIGKILL. */
  kill(): Promise<Exit>;
}

export interface StartOptions {
  readonly cwd?: string;
  /** Added to this process's environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Waits for such a line before it returns. */
  readonly readyLine?: RegExp | string;
  readonly readyTimeoutMs?: number;
  readonly stopTimeoutMs?: number;
  /** Where its output goes; a file in a temporary folder if not given. It is written anew. */
  readonly logFile?: string;
  /** Sends SIGKILL in another way than to the pid: a container's client is not its container. */
  readonly sendKill?: () => void;
  /** Aborting kills it. */
  readonly signal?: AbortSignal;
}

/** Starts a program. Its output goes to a file, so that a busy test never holds it up. */
export async function startProcess(
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<RunningProcess> {
  options.signal?.throwIfAborted();
  const logFile = options.logFile ?? path.join(temporaryFolder("process"), "output.log");
  const log = openSync(logFile, "w");
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  const running = new ChildHandle(child, command, logFile, options);
  if (options.readyLine === undefined) return running;
  try {
    await running.waitForLine(options.readyLine, { timeoutMs: options.readyTimeoutMs ?? READY_TIMEOUT_MS });
  } catch (error) {
    await running.kill();
    throw error;
  }
  return running;
}

/** Starts one of our own commands from its source. */
export function spawnBin(
  name: BinName,
  args: readonly string[],
  options: StartOptions = {},
): Promise<RunningProcess> {
  return startProcess(process.execPath, [path.join(root, BINS[name]), ...args], options);
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. A code other than 0 is a result, not an error; running past the time limit is an error. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? RUN_TIMEOUT_MS;
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A program that does not read its input closes the pipe.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.stdin ?? "");
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      child.once("spawn", () => child.pid !== undefined && leash(child.pid));
      child.once("error", reject);
      timer = setTimeout(() => {
        child.kill("SIGKILL");
        const printed = Buffer.concat([...stdout, ...stderr]).toString();
        reject(
          new Error(
            `${command} ${args.join(" ")}: not done in ${timeoutMs} ms. It printed:\n${tail(printed)}`,
          ),
        );
      }, timeoutMs);
      child.once("close", (code) =>
        resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }),
      );
    });
  } finally {
    clearTimeout(timer);
    if (child.pid !== undefined) unleash(child.pid);
  }
}

/** Runs one of our own commands, from its source, to its end. */
export function runBin(name: BinName, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run(process.execPath, [path.join(root, BINS[name]), ...args], options);
}

/** A new folder for temporary files, gone when the test process ends. */
export function temporaryFolder(name = "test"): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), `logagent-${name}-`));
  if (temporaryFolders.length === 0) {
    process.once("exit", () => {
      for (const made of temporaryFolders) rmSync(made, { recursive: true, force: true, maxRetries: 3 });
    });
  }
  temporaryFolders.push(folder);
  return folder;
}
const temporaryFolders: string[] = [];

/**
 * Repeats an assertion until it passes. Use it instead of sleeping.
 *
 * @throws what the assertion threw last, when the time is over
 */
export async function eventually<T>(
  assertion: () => T | Promise<T>,
  options: { readonly timeoutMs?: number; readonly intervalMs?: number } = {},
): Promise<T> {
  const { timeoutMs = 10_000, intervalMs = 25 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
    }
    await sleep(intervalMs);
  }
}

class ChildHandle implements RunningProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #command: string;
  readonly #logFile: string;
  readonly #options: StartOptions;
  #ended = false;

  constructor(child: ChildProcess, command: string, logFile: string, options: StartOptions) {
    if (child.pid === undefined) throw new Error(`${command} has no pid`);
    this.pid = child.pid;
    this.#child = child;
    this.#command = command;
    this.#logFile = logFile;
    this.#options = options;
    leash(this.pid);
    // What a test forgot to stop must not keep its process from ending.
    child.unref();
    const onAbort = () => this.#sendKill();
    options.signal?.addEventListener("abort", onAbort, { once: true });
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#ended = true;
        unleash(this.pid);
        options.signal?.removeEventListener("abort", onAbort);
        resolve({ code, signal });
      });
    });
  }

  output(): string {
    return readFileSync(this.#logFile, "utf8");
  }

  async waitForLine(
    pattern: RegExp | string,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<string> {
    const timeoutMs = options.timeoutMs ?? READY_TIMEOUT_MS;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      // Asked before the output is read: what it printed last must not be missed.
      const ended = this.#ended;
      const output = this.output();
      const line = output
        .split("\n")
        .find((text) => (typeof pattern === "string" ? text.includes(pattern) : pattern.test(text)));
      if (line !== undefined) return line;
      const late = performance.now() >= deadline;
      if (ended || late) {
        const reason = ended ? "it ended" : `${timeoutMs} ms passed`;
        throw new Error(
          `${this.#command}: ${reason} without a line like ${pattern}. It printed:\n${tail(output)}`,
        );
      }
      await sleep(POLL_MS);
    }
  }

  async stop(options: { readonly timeoutMs?: number } = {}): Promise<Exit> {
    if (this.#ended) return this.exited;
    this.#child.ref();
    this.#child.kill("SIGTERM");
    const timer = setTimeout(
      () => this.#sendKill(),
      options.timeoutMs ?? this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS,
    );
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  async kill(): Promise<Exit> {
    if (!this.#ended) {
      this.#child.ref();
      this.#sendKill();
    }
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #sendKill(): void {
    if (this.#options.sendKill === undefined) this.#child.kill("SIGKILL");
    else this.#options.sendKill();
  }
}

function tail(output: string): string {
  return output.trimEnd().split("\n").slice(-LINES_SHOWN).join("\n");
}
