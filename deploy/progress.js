import { spawn } from "node:child_process";

/** How much of a command's output is kept to show when it fails. */
const OUTPUT_BYTES_MAX = 64 * 1024;
const OUTPUT_LINES_SHOWN = 60;
/** How often a waiting person is told that work goes on. */
const TERMINAL_INTERVAL_MS = 250;
const PLAIN_INTERVAL_MS = 5000;

/** A command that could not be run or did not exit with 0; `output` is the end of what it printed. */
export class CommandError extends Error {
  /**
   * @param {string} message
   * @param {string} output
   */
  constructor(message, output) {
    super(message);
    this.name = "CommandError";
    this.output = output;
  }
}

/**
 * Runs a command, says what it is for, and shows that time passes: one line that is rewritten at a terminal, a line every
 * five seconds elsewhere. The command's own output is kept back, and shown only if it fails.
 *
 * @param {string} title what is being done, in a person's words
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<void>}
 * @throws {CommandError} the command is missing, or its exit code is not 0
 */
export async function runWithProgress(title, command, args, options = {}) {
  const startedMs = Date.now();
  const elapsed = () => `${Math.round((Date.now() - startedMs) / 1000)} s`;
  const terminal = process.stderr.isTTY === true;
  const say = terminal
    ? (/** @type {string} */ text) => process.stderr.write(`\r\x1b[K${text}`)
    : (/** @type {string} */ text) => process.stderr.write(`${text}\n`);

  say(`${title} …`);
  const timer = setInterval(
    () => say(`${title} … ${elapsed()}`),
    terminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS,
  );
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (/** @type {string} */ text) => {
    output = (output + text).slice(-OUTPUT_BYTES_MAX);
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);

  try {
    const ended = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(code ?? signal));
    });
    if (ended !== 0) {
      throw new CommandError(`${[command, ...args].join(" ")}: ended with ${ended}`, lastLines(output));
    }
    say(`${title}: done in ${elapsed()}`);
  } catch (error) {
    say(`${title}: failed after ${elapsed()}`);
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `${command} cannot be run: ${error instanceof Error ? error.message : error}`,
      output,
    );
  } finally {
    clearInterval(timer);
    if (terminal) process.stderr.write("\n");
  }
}

/** @param {string} output */
function lastLines(output) {
  return output.trimEnd().split("\n").slice(-OUTPUT_LINES_SHOWN).join("\n");
}
