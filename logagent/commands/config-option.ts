import { Option } from "commander";

/** `--config FILE`, or the variable LOGAGENT_CONFIG. */
export function configOption(): Option {
  return new Option("--config <file>", "the agent's YAML file").env("LOGAGENT_CONFIG").makeOptionMandatory();
}
