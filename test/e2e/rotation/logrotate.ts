import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ensureLogrotate } from "../../../deploy/parts.js";
import { run, temporaryFolder } from "../../support/process.ts";
import type { Mode } from "./modes.ts";

/** How long logrotate's script waits for the writer to have opened its files anew, in hundredths of a second. */
const REOPEN_TRIES = 1_000;

export interface LogrotateOptions {
  readonly mode: Mode;
  /** All `*.log` in it are rotated. */
  readonly logs: string;
  readonly writerPid: number;
  /** Made by the writer when it has opened its files anew. */
  readonly reopened: string;
}

/** The real logrotate with a configuration of its own. Returns what rotates once. */
export async function prepareLogrotate(options: LogrotateOptions): Promise<() => Promise<void>> {
  const { program, libraries } = await ensureLogrotate();
  const folder = temporaryFolder("logrotate");
  const config = path.join(folder, "logrotate.conf");
  mkdirSync(path.join(options.logs, "old"));
  // It refuses a configuration that others may write.
  writeFileSync(config, configOf(options), { mode: 0o600 });
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(":") };
  return async () => {
    const args = ["--force", "--state", path.join(folder, "state"), config];
    const { code, stderr } = await run(program, args, { env });
    if (code !== 0 || stderr !== "") throw new Error(`logrotate ended with ${code}: ${stderr}`);
  };
}

function configOf({ mode, logs, writerPid, reopened }: LogrotateOptions): string {
  // As the manual wants it: the old file is not touched before the program has let go of it.
  const script = [
    "sharedscripts",
    "postrotate",
    `kill -HUP ${writerPid}`,
    "tries=0",
    `while [ ! -e ${reopened} ] && [ $tries -lt ${REOPEN_TRIES} ]; do sleep 0.01; tries=$((tries + 1)); done`,
    `rm ${reopened}`,
    "endscript",
  ];
  const lines = [...mode.directives, ...(mode.reopens ? script : [])];
  return `${logs}/*.log {\n${lines.join("\n")}\n}\n`;
}
