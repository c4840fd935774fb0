import { type LoadedAgentConfig, loadAgentConfig } from "../../conf/load.ts";
import { allowIssues } from "../config/allow-issues.ts";

/** The agent's file, with the variables of this process. Throws CodedError "EBADCONFIG", which names every mistake. */
export function loadConfig(path: string): Promise<LoadedAgentConfig> {
  return loadAgentConfig(path, process.env, allowIssues);
}
