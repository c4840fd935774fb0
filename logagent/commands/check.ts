import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { Command } from "commander";
import { CodedError, errorMessage } from "../../base/errors.ts";
import { readTlsFiles, type TlsFileProblem } from "../../base/tls-files.ts";
import type { AgentConfig } from "../../conf/agent-config.ts";
import type { Entry } from "../../conf/collect-config.ts";
import { shownValue } from "../../conf/field-issues.ts";
import { fileProblem } from "../../conf/file-problem.ts";
import { parseCollectConfig } from "../../conf/parse-collect-config.ts";
import { insideAllow } from "../config/inside-allow.ts";
import { type AllowList, compileAllowList } from "../source/allow-list.ts";
import { withConfig } from "./config-option.ts";
import { loadConfig } from "./load-config.ts";

interface CheckOptions {
  readonly config: string;
  readonly collect?: string;
}

/** `logagent check`: validates the agent's file, and a collect config against it; runs nothing. */
export function checkCommand(): Command {
  return withConfig(new Command("check"))
    .description("validate the agent's file, and a collect config with it; runs nothing")
    .option("--collect <file>", "a collect config (JSON), as it would be put into the store; - is stdin")
    .action(check);
}

async function check(options: CheckOptions): Promise<void> {
  const { config, warnings } = await loadConfig(options.config);
  await readPemFiles(config, options.config);
  const allow = compileAllowList(config.allow);
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
  process.stdout.write(`${options.config}: valid\n`);
  if (options.collect === undefined) return;
  const entries = await readCollect(options.collect, allow);
  process.stdout.write(`${options.collect}: valid, ${summary(entries, config)}\n`);
}

/** Those that `run` would read. */
async function readPemFiles({ store, sink }: AgentConfig, file: string): Promise<void> {
  const unreadable =
    (section: string) =>
    ({ name, path, cause }: TlsFileProblem) => {
      const field = `field "${section}.${name}" is ${shownValue(path)}: ${fileProblem(cause)}`;
      return new CodedError("EBADCONFIG", `Cannot use config file ${file}: ${field}`, { cause });
    };
  await readTlsFiles(store.tls, unreadable("store.tls"));
  const isKafka = sink.type === "kafka" || sink.type === "kafkajs";
  if (isKafka && sink.tls.enabled) await readTlsFiles(sink.tls, unreadable("sink.tls"));
}

async function readCollect(path: string, allow: AllowList): Promise<Entry[]> {
  const value = await readInput(path);
  try {
    return parseCollectConfig(value, insideAllow(allow));
  } catch (error) {
    throw new CodedError("EBADCONFIG", `${path}: ${errorMessage(error)}`, { cause: error });
  }
}

async function readInput(path: string): Promise<Buffer> {
  try {
    return await (path === "-" ? buffer(process.stdin) : readFile(path));
  } catch (error) {
    throw new CodedError("EBADCONFIG", `Cannot read collect config ${path}: ${fileProblem(error)}`, {
      cause: error,
    });
  }
}

function summary(entries: readonly Entry[], config: AgentConfig): string {
  const topics = new Set(entries.map((entry) => entry.topic));
  const plural = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`;
  return `${plural(entries.length, "entry", "entries")}, ${plural(topics.size, "topic", "topics")} of sink ${config.sink.type}`;
}
