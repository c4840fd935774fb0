import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const READY_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;

/** A process of the tour. Its log goes to a file of its own; what it prints on stdout is kept. */
export interface Actor {
  readonly pid: number;
  /** Resolves when the process has ended. */
  readonly ended: Promise<unknown>;
  readonly stdout: () => string;
  /** Sends the signal and resolves when the process has ended; SIGKILL follows after a limit. */
  end(signal: NodeJS.Signals): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

export interface Cue {
  /** Path of the script, from the root of the clone. */
  readonly script: string;
  readonly args: readonly string[];
  /** File that takes its stderr. */
  readonly log: string;
  /** The process is ready when its log holds this text; absent: at once. */
  readonly readyText?: string;
}

/** Starts a program of this project, and waits until it is ready. Throws with the end of its log if it does not get there. */
export async function start(cue: Cue): Promise<Actor> {
  const child = spawn(process.execPath, [join(root, cue.script), ...cue.args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let stdout = "";
  let log = "";
  const logFile = createWriteStream(cue.log, { flags: "a" });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-8192);
    logFile.write(text);
  });
  if (cue.readyText !== undefined) await ready(child, cue, () => log);
  return {
    pid: child.pid ?? 0,
    ended,
    stdout: () => stdout,
    signal: (signal) => void child.kill(signal),
    end: async (signal) => {
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await ended;
      clearTimeout(timer);
      logFile.end();
    },
  };
}

async function ready(child: ChildProcess, cue: Cue, log: () => string): Promise<void> {
  const { readyText = "" } = cue;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (what: string) => reject(new Error(`${cue.script} ${what}. The end of its log:\n${log()}`));
  const timer = setTimeout(
    () => fail(`did not say "${readyText}" within ${READY_LIMIT_MS} ms`),
    READY_LIMIT_MS,
  );
  child.once("exit", (code, signal) => fail(`ended (${signal ?? `exit code ${code}`}) before it was ready`));
  child.stderr?.on("data", () => {
    if (log().includes(readyText)) resolve();
  });
  try {
    await promise;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** `preferred` when nobody listens on it, otherwise a free one. */
export async function choosePort(preferred: number): Promise<number> {
  return (await freePort(preferred)) ?? (await freePort(0)) ?? preferred;
}

async function freePort(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return typeof address === "object" ? address?.port : undefined;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}
