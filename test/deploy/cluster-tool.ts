import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { leash, unleash } from "../../deploy/leash.ts";
import { eventually } from "../support/process.ts";

const MAIN = path.resolve(import.meta.dirname, "../../deploy/cluster/main.ts");
const LINE_TIMEOUT_MS = 40_000;

/** `npm run cluster`, without npm and without a terminal. */
export class ClusterTool implements AsyncDisposable {
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  #output = "";
  #seen = 0;

  constructor(args: readonly string[]) {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    const { pid = 0 } = child;
    leash(pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
      });
    }
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        unleash(pid);
        resolve({ code, signal });
      });
    });
  }

  /** Everything it printed so far. */
  get output(): string {
    return this.#output;
  }

  type(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  /** Waits for such a line after the last one that was waited for. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    return eventually(
      () => {
        const found = pattern.exec(this.#output.slice(this.#seen));
        if (found === null)
          throw new Error(`No line like ${pattern} yet, after:\n${this.#output.slice(-4000)}`);
        this.#seen += found.index + found[0].length;
        return found;
      },
      { timeoutMs: LINE_TIMEOUT_MS },
    );
  }
}

/** Process ids of those whose command line names `folder` (Linux). */
export function processesOf(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes(folder))
    .map(Number);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended meanwhile.
    return "";
  }
}
