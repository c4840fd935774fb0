import { systemClock } from "../base/clock.ts";
import { CodedError, errorMessage } from "../base/errors.ts";
import { hostPortText } from "../base/host-port.ts";
import { createLogger, type Logger } from "../base/log.ts";
import { nodeDisk } from "../base/node-disk.ts";
import { systemRandom } from "../base/random.ts";
import { packageVersion } from "../base/version.ts";
import { loadStoreConfig, type StoreCommand } from "../conf/load-store-config.ts";
import { UsageError } from "../conf/store-command-line.ts";
import { idText } from "./raft/id-text.ts";
import { type BoundAddress, StoreServer } from "./server/store-server.ts";
import { ETCD_API_VERSION } from "./server/version.ts";

type Run = Extract<StoreCommand, { kind: "run" }>;

/**
 * `logstore`: reads its flags, opens the data folder and serves it until SIGTERM or SIGINT. Resolves with the exit code:
 * 0 done, 1 failed, 2 wrong usage.
 */
export async function main(argv: string[]): Promise<number> {
  let command: StoreCommand;
  try {
    command = loadStoreConfig(argv, process.env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`logstore: ${error.message}\n`);
    return 2;
  }
  switch (command.kind) {
    case "version":
      process.stdout.write(versionText());
      return 0;
    case "help":
      process.stdout.write(command.text);
      return 0;
    case "run":
      return run(command);
    default:
      return command satisfies never;
  }
}

async function run({ settings, warnings }: Run): Promise<number> {
  const logger = createLogger({ name: "logstore", level: settings.logLevel });
  for (const { message, names } of warnings) logger.warn({ names }, message);
  const stop = stopSignal(logger);
  const removed = Promise.withResolvers<void>();
  const onFatal = (error: unknown) => dieOf(error, logger);
  process.once("uncaughtException", onFatal);
  try {
    await using server = await StoreServer.open({
      settings,
      disk: nodeDisk,
      clock: systemClock,
      random: systemRandom,
      logger,
      onRemoved: removed.resolve,
      onFatal,
    });
    const bound = await server.listen(settings);
    const end = Promise.race([stop, removed.promise.then(() => leaveCluster(logger))]);
    const isReady = await Promise.race([end, server.serving().then(() => true as const)]);
    if (isReady === true) logReady(logger, bound, server);
    await end;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    logger.fatal({ code: error.code, reason: error.message }, "cannot run");
    return 1;
  }
  logger.info("stopped");
  return 0;
}

function logReady(logger: Logger, bound: readonly BoundAddress[], { replica }: StoreServer): void {
  const addresses = bound.map(({ host, boundPort, flag }) => ({
    flag,
    address: hostPortText({ host, port: boundPort }),
  }));
  const member = idText(replica.memberId);
  const cluster = idText(replica.clusterId);
  logger.info({ addresses, member, cluster }, "ready to serve client requests");
}

/** What this member knows of its removal, the others are to hear of it before it is gone (etcd: the same second). */
const REMOVED_STOP_MS = 1_000;

async function leaveCluster(logger: Logger): Promise<void> {
  logger.warn("the member has been permanently removed from the cluster, stopping");
  await systemClock.sleep(REMOVED_STOP_MS);
}

const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Resolves at the first SIGTERM or SIGINT; a second one, whichever it is, ends the process at once. */
function stopSignal(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      for (const name of STOP_SIGNALS) process.off(name, onSignal);
      logger.info({ signal }, "stopping");
      resolve();
    };
    for (const name of STOP_SIGNALS) process.on(name, onSignal);
  });
}

/** What was acknowledged is on disk; what is in memory can't be trusted any more, so nothing is closed or flushed. */
function dieOf(error: unknown, logger: Logger): never {
  const stack = error instanceof Error ? error.stack : undefined;
  logger.fatal({ reason: errorMessage(error), stack }, "ending: a write to the disk failed, or a bug");
  process.exit(1);
}

/** The line scripts look for is etcd's; the others are ours. */
function versionText(): string {
  return `logstore Version: ${packageVersion()}\netcd Version: ${ETCD_API_VERSION}\nNode Version: ${process.versions.node}\n`;
}
