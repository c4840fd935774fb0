import { type Command, Option } from "commander";

/** Gives a command `--config FILE`, or the variable LOGAGENT_CONFIG, and requires it. */
export function withConfig(command: Command): Command {
  // Commander looks for mandatory options first, and would not name the one that is misspelled.
  return command
    .addOption(new Option("--config <file>", "the agent's YAML file").env("LOGAGENT_CONFIG"))
    .hook("preAction", (called) => {
      if (called.opts().config !== undefined) return;
      called.error("error: required option '--config <file>' not specified");
    });
}
