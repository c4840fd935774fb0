import { CommanderError } from "commander";
import { arrangeArguments } from "./arguments.ts";
import { type Io, processIo } from "./io.ts";
import { printedError } from "./printed-error.ts";
import { buildProgram } from "./program.ts";
import { UsageError } from "./usage-error.ts";

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

/** Runs one command line (`["put", "/a", "1"]`). Resolves with the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<number> {
  using io = processIo();
  return await run(argv, io);
}

/** {@link main} with input and output of the caller's. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const { program, session } = buildProgram(argv, io);
  using _ = session;
  try {
    await program.parseAsync(arrangeArguments(program, argv), { from: "user" });
    return session.exitCode;
  } catch (error) {
    return exitCodeOf(error, io);
  }
}

function exitCodeOf(error: unknown, io: Io): number {
  // commander has printed what it had to say; help and version end this way too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE;
  if (io.signal.aborted) return DONE;
  io.err(`Error: ${printedError(error)}\n`);
  return error instanceof UsageError || isBadInput(error) ? WRONG_USAGE : FAILED;
}

/** An endpoint or a limit that makes no sense. */
function isBadInput(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EINVAL";
}
