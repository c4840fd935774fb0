import { resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock as clock, sleepUnlessAborted } from "../../base/clock.ts";
import { CodedError, errorCode } from "../../base/errors.ts";
import { createLogger } from "../../base/log.ts";
import { systemRandom as random } from "../../base/random.ts";
import { type Entry, entrySchema } from "../../conf/collect-config.ts";
import { parseFields, shownValue } from "../../conf/field-issues.ts";
import { findJsonError } from "../../conf/json-syntax.ts";
import { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { forgetfulDisk } from "../checkpoint/forgetful-disk.ts";
import { openFilesLimit } from "../open-files-limit.ts";
import { compileAllowList } from "../source/allow-list.ts";
import { ChunkPool } from "../source/chunk-pool.ts";
import { DeletedFiles } from "../source/deleted-files.ts";
import { FileClaims } from "../source/file-claims.ts";
import { OpenFiles } from "../source/open-files.ts";
import { ScanQueue } from "../source/scan-queue.ts";
import { SourceContext } from "../source/source-context.ts";
import { TailSource } from "../source/tail-source.ts";
import { LOOK_MS } from "../source/tailed-file.ts";
import { loadConfig } from "./load-config.ts";
import { PreviewSink } from "./preview-sink.ts";

interface PreviewFlags {
  readonly from: Entry["from"];
  readonly lines?: number;
  readonly maxLineBytes?: number;
  readonly entry?: string;
  readonly offsets?: true;
  readonly follow?: true;
  readonly config?: string;
}

/** `logagent preview PATH`: what a task would ship, by the real source and framing, to the screen. */
export function previewCommand(): Command {
  return new Command("preview")
    .description("print what a task would ship of a file or a glob; sends nothing, writes no checkpoint")
    .argument("<path>", "a file or a glob (in quotes, so that the shell leaves it alone)")
    .addOption(
      new Option("--from <where>", "where to start").choices(["beginning", "end"]).default("beginning"),
    )
    .option("--lines <count>", "stop after so many lines (default: all)", count)
    .option("--max-line-bytes <bytes>", "cut longer lines, as the entry's maxLineBytes would", count)
    .option("--entry <json>", "further fields of the entry, as in a collect config: its rules are applied")
    .option("--offsets", "print path and offset before each line")
    .option("--follow", "go on when the files grow")
    .option("--config <file>", "the agent's YAML file, for its allow list; without it every path may be read")
    .action(preview);
}

async function preview(path: string, flags: PreviewFlags): Promise<void> {
  const entry = parseEntry(path, flags);
  const allow = flags.config === undefined ? ["/**"] : (await loadConfig(flags.config)).config.allow;
  const logger = createLogger({ name: "preview", level: "error" });
  const ending = new AbortController();
  const end = () => ending.abort(new Error("preview ends"));
  process.stdout.once("error", (error) => {
    // `| head` has seen enough.
    if (errorCode(error) === "EPIPE") end();
    else throw error;
  });
  const sink = new PreviewSink({
    output: process.stdout,
    offsets: flags.offsets ?? false,
    linesMax: flags.lines ?? Number.POSITIVE_INFINITY,
    onEnough: end,
  });
  const scans = new ScanQueue();
  const checkpoints = await CheckpointStore.open({
    folder: "/",
    disk: forgetfulDisk,
    folders: scans.folders,
    clock,
    random,
    logger,
  });
  const claims = new FileClaims();
  claims.add(entry.path);
  const chunks = new ChunkPool();
  const deps = {
    ip: "preview",
    sink,
    checkpoints,
    claims,
    openFiles: new OpenFiles(openFilesLimit(undefined).limit),
    chunks,
    deletedFiles: new DeletedFiles({ logger }),
    scans,
    allow: compileAllowList(allow),
    clock,
    logger,
  };
  const context = new SourceContext(entry, deps);
  const source = new TailSource(context);
  try {
    await ship(source, ending.signal, flags.follow ?? false);
    report(source, context, sink);
  } finally {
    source.close();
    await checkpoints.close();
  }
}

async function ship(source: TailSource, signal: AbortSignal, follow: boolean): Promise<void> {
  const stop = () => void source.stop();
  signal.addEventListener("abort", stop, { once: true });
  do {
    await source.poll();
    if (!follow) break;
    await sleepUnlessAborted(clock, LOOK_MS, { signal });
  } while (!signal.aborted);
  await source.idle();
}

/** What a person may wonder about goes to stderr; throws when nothing could be read. */
function report(source: TailSource, context: SourceContext, sink: PreviewSink): void {
  const problems = context.problems.list();
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (source.openFiles === 0) {
    throw new CodedError(
      "ENOFILE",
      `Cannot preview ${context.entry.path}: no file that can be read matches, expected at least one`,
    );
  }
  for (const file of source.files) {
    const held = file.size - file.offset;
    if (held <= 0 || file.hasUnread) continue;
    process.stderr.write(
      context.entry.multiline === undefined
        ? `${file.lanePath}: ${held} bytes behind the last newline are held until their line is complete\n`
        : `${file.lanePath}: ${held} bytes behind the last record are held until theirs is complete\n`,
    );
  }
  if (context.totals.linesCut > 0) {
    process.stderr.write(
      `${context.totals.linesCut} cuts in lines longer than ${context.entry.maxLineBytes} bytes\n`,
    );
  }
  const { linesTruncated, linesDropped } = context.totals;
  if (linesTruncated > 0) process.stderr.write(`${linesTruncated} lines truncated\n`);
  if (linesDropped > 0) process.stderr.write(`${linesDropped} records left out by include and exclude\n`);
  process.stderr.write(`${sink.lines} lines\n`);
}

function parseEntry(path: string, flags: PreviewFlags): Entry {
  const fields = {
    ...furtherFields(path, flags.entry),
    path: resolve(path),
    topic: "preview",
    from: flags.from,
    ...(flags.maxLineBytes === undefined ? {} : { maxLineBytes: flags.maxLineBytes }),
  };
  const parsed = parseFields(entrySchema, fields);
  if (parsed.kind === "valid") return parsed.value;
  throw new CodedError("EBADCONFIG", `Cannot preview ${path}: ${parsed.issues[0]?.sentence}`);
}

function furtherFields(path: string, text = "{}"): object {
  const error = findJsonError(text);
  if (error !== undefined) {
    const problem = `--entry is not JSON at line ${error.line}, column ${error.column}: ${error.reason}`;
    throw new CodedError("EBADCONFIG", `Cannot preview ${path}: ${problem}`);
  }
  const fields: unknown = JSON.parse(text);
  if (typeof fields === "object" && fields !== null && !Array.isArray(fields)) return fields;
  throw new CodedError(
    "EBADCONFIG",
    `Cannot preview ${path}: --entry is ${shownValue(fields)}, expected an object`,
  );
}

function count(value: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("expected a whole number above 0.");
}
