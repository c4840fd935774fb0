import { Command } from "commander";
import { createLogger, type Logger } from "../../base/log.ts";
import { withConfig } from "./config-option.ts";
import { loadConfig } from "./load-config.ts";

/** After a second signal the process ends within this time, whatever hangs. */
const HURRY_MS = 2_000;

/** `logagent run`: an agent, until SIGTERM or SIGINT. */
export function runCommand(): Command {
  return withConfig(new Command("run"))
    .description("run the agent until SIGTERM; a second signal stops it at once")
    .action(({ config }: { readonly config: string }) => run(config));
}

async function run(path: string): Promise<void> {
  const { config, warnings } = await loadConfig(path);
  const log = createLogger({ name: "logagent", level: config.logLevel });
  for (const warning of warnings) log.warn({ warning }, "config warning");
  // Loaded here alone: the other commands need none of the agent's machinery to start.
  const { runAgent } = await import("../agent.ts");
  const stop = new AbortController();
  const hurry = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => stopOrHurry(signal, { stop, hurry, log });
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  try {
    await runAgent(config, log, { stop: stop.signal, hurry: hurry.signal });
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  }
}

function stopOrHurry(
  signal: NodeJS.Signals,
  parts: { readonly stop: AbortController; readonly hurry: AbortController; readonly log: Logger },
): void {
  const { stop, hurry, log } = parts;
  if (!stop.signal.aborted) {
    log.info({ signal }, "stopping");
    stop.abort(new Error(`stopped by ${signal}`));
    return;
  }
  log.warn({ signal }, "stopping at once");
  hurry.abort(new Error(`stopped by a second ${signal}`));
  setTimeout(() => process.exit(1), HURRY_MS).unref();
}
