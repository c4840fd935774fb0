import { Command, CommanderError } from "commander";
import { errorMessage } from "../base/errors.ts";
import { packageVersion } from "../base/version.ts";
import { auditCommand } from "./commands/audit.ts";
import { checkCommand } from "./commands/check.ts";
import { previewCommand } from "./commands/preview.ts";
import { runCommand } from "./commands/run.ts";

/** Exit codes of every command. */
const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/**
 * The command `logagent`. Takes the arguments behind the program's name and resolves with the exit code: 0 done, 1 failed
 * (the reason is on stderr), 2 wrong usage. A command is a function that makes a commander `Command` whose action throws
 * when it fails.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command("logagent")
    .description("ships log files to Kafka, as its config in the store says")
    .version(packageVersion())
    .addCommand(runCommand())
    .addCommand(checkCommand())
    .addCommand(previewCommand())
    .addCommand(auditCommand());
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync([...argv], { from: "user" });
    return EXIT.done;
  } catch (error) {
    // Commander has said what it has to say by now; help and version end here too.
    if (error instanceof CommanderError) return isHelp(error, argv) ? EXIT.done : EXIT.usage;
    process.stderr.write(`${errorMessage(error)}\n`);
    return EXIT.failed;
  }
}

function isHelp(error: CommanderError, argv: readonly string[]): boolean {
  return error.exitCode === 0 && argv.length > 0;
}
