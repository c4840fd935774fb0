import { hostname, totalmem } from "node:os";
import { join } from "node:path";
import { systemClock as clock } from "../base/clock.ts";
import { CodedError, errorCode, errorMessage } from "../base/errors.ts";
import { type FolderLock, lockFolder } from "../base/folder-lock.ts";
import type { Logger } from "../base/log.ts";
import { nodeDisk as disk } from "../base/node-disk.ts";
import { systemRandom as random } from "../base/random.ts";
import { packageVersion } from "../base/version.ts";
import type { VersionedFile } from "../base/versioned-file.ts";
import type { AgentConfig } from "../conf/agent-config.ts";
import { parseCollectConfig } from "../conf/parse-collect-config.ts";
import type { StoreClient } from "../store/client/client.ts";
import { LeaseKeeper } from "../store/client/lease-keeper.ts";
import { CheckpointStore } from "./checkpoint/checkpoint-store.ts";
import { insideAllow } from "./config/inside-allow.ts";
import { type LastGood, lastGoodFile } from "./config/last-good.ts";
import { RemoteConfig } from "./config/remote-config.ts";
import { resolveIdentity } from "./identity.ts";
import { garbageCollector, keepHeapSmall } from "./memory/heap.ts";
import { fullReadingBytes, memoryLimitBytes } from "./memory/limit-bytes.ts";
import { MemoryLimit } from "./memory/memory-limit.ts";
import { openSupervisor } from "./open-supervisor.ts";
import type { BatchedSink } from "./sink/batched-sink.ts";
import { openSink } from "./sink/open-sink.ts";
import type { SinkObserver } from "./sink/options.ts";
import { compileAllowList } from "./source/allow-list.ts";
import { CHUNK_POOL_BYTES, ChunkPool } from "./source/chunk-pool.ts";
import { MountTable } from "./source/mount-table.ts";
import { ScanQueue } from "./source/scan-queue.ts";
import type { AgentView } from "./status/agent-view.ts";
import { buildStatus } from "./status/build-status.ts";
import { startStatusServer } from "./status/http-server.ts";
import { type AgentMetrics, createMetrics } from "./status/metrics.ts";
import { PreviousLease } from "./status/previous-lease.ts";
import { StatusWriter } from "./status/status-writer.ts";
import { openStoreClient } from "./store-client.ts";
import type { Supervisor } from "./task/supervisor.ts";

export interface AgentSignals {
  /** Aborted: stop reading, wait for acknowledgements within `shutdown.drainMs`, write checkpoints, end. */
  readonly stop: AbortSignal;
  /** Aborted: do not wait for acknowledgements. */
  readonly hurry: AbortSignal;
}

/** A status key that outlives a crashed agent by this long; renewed every third of it. */
const LEASE_TTL_SECONDS = 30;
/** The store has this long to take back the lease when the agent ends; otherwise it runs out by itself. */
const REVOKE_MS = 2_000;

/**
 * Runs an agent until `stop` is aborted, and resolves when everything is written and closed. Throws, before anything is
 * read, CodedError: "EDATADIR", "ELOCKED", "EVERSION" or "EUNREADABLE" for the data folder, "EIDENTITY", "ELISTEN", "EBADCONFIG",
 * "ENOSTDOUT", "EMEMORY"; and DeliveryError as soon as standard output, where it is the sink, has no reader any more.
 */
export async function runAgent(config: AgentConfig, log: Logger, signals: AgentSignals): Promise<void> {
  await using resources = new AsyncDisposableStack();
  resources.use(await takeDataFolder(config.dataDir));
  const lastGood = lastGoodFile(disk, join(config.dataDir, "last-good.json"));
  await refuseNewer(lastGood);
  const { endpoints } = config.store;
  const ip = await resolveIdentity({ ip: config.ip, endpoints, dataDir: config.dataDir, disk, log });
  const client = resources.use(await openStoreClient(config.store, log));
  const scans = new ScanQueue(new MountTable({ clock, allowsNetwork: config.networkMounts }));
  const checkpoints = resources.use(
    await CheckpointStore.open({
      folder: join(config.dataDir, "checkpoints"),
      disk,
      folders: scans.folders,
      clock,
      random,
      logger: log,
    }),
  );
  const sinkGone = new AbortController();
  const sink = resources.use(
    openAgentSink(config, log, {
      onError: (event) => metrics.countSinkError(event),
      onGone: (error) => sinkGone.abort(error),
    }),
  );
  const chunks = new ChunkPool(Math.min(CHUNK_POOL_BYTES, config.memory.maxInFlightBytes));
  const memory = resources.use(limitMemory(config, { chunks, sink, log }));
  const supervisor = openSupervisor(config, { ip, sink, checkpoints, chunks, scans, log });
  const remote = newRemoteConfig(config, {
    ip,
    client,
    lastGood,
    supervisor,
    log,
    onChange: () => writer.changed(),
  });
  const view: AgentView = {
    version: packageVersion(),
    ip,
    instance: { id: random.uint64().toString(16).padStart(16, "0"), host: hostname(), pid: process.pid },
    startedAtMs: clock.wallMs(),
    nowMs: () => clock.wallMs(),
    config: () => remote.state,
    tasks: () => supervisor.tasks.map((task) => task.status),
    topic: (name) => sink.topic(name),
    checkpointFailure: () => checkpoints.failure,
    hasLostCheckpoints: checkpoints.lostEverything,
    newestLosses: () => checkpoints.newestLosses,
    inFlight: () => sink,
    memory: () => memory?.state,
    hasIdentityConflict: () => writer.hasConflict,
  };
  const metrics: AgentMetrics = createMetrics(view);
  if (config.http !== "off") {
    const server = resources.use(await startStatusServer({ address: config.http, view, metrics, log }));
    log.info({ address: server.address }, "http is served");
  }
  const lease = LeaseKeeper.start({
    client,
    ttlSeconds: LEASE_TTL_SECONDS,
    onState: () => writer.changed(),
    onTrouble: (reason) => log.debug({ reason }, "lease not renewed, trying again"),
  });
  const writer = newStatusWriter(config, { ip, client, lease, view, log });
  log.info({ ip, version: view.version, sink: config.sink.type, endpoints }, "agent started");

  const writing = new AbortController();
  const written = writer.run(writing.signal);
  const ending = new AbortController();
  const following = remote.run(AbortSignal.any([signals.stop, ending.signal]));
  try {
    // Each of them ends only when it is told to, or by a bug, which ends the agent.
    const gone = aborted(sinkGone.signal).then(() => sinkGone.signal.throwIfAborted());
    await Promise.race([Promise.all([following, aborted(signals.stop)]), written, gone]);
  } finally {
    ending.abort(new Error("the agent stops"));
    const hurry = AbortSignal.any([signals.hurry, sinkGone.signal]);
    await drain(supervisor, { drainMs: config.shutdown.drainMs, hurry, log });
    writing.abort(new Error("the agent stops"));
    await lease.close({ signal: AbortSignal.any([AbortSignal.timeout(REVOKE_MS), signals.hurry]) });
    await written;
  }
  log.info({ ip }, "agent stopped");
}

async function takeDataFolder(folder: string): Promise<FolderLock> {
  try {
    return await lockFolder(folder);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    const reason = `${errorMessage(error)}, expected a folder that this user may write`;
    throw new CodedError("EDATADIR", `Cannot use data folder ${folder}: ${reason}`, { cause: error });
  }
}

/** What a newer agent wrote is not overwritten; damage shows later, when the file is needed. */
async function refuseNewer(file: VersionedFile<object>): Promise<void> {
  try {
    await file.read();
  } catch (error) {
    if (errorCode(error) === "EVERSION") throw error;
  }
}

function openAgentSink(config: AgentConfig, logger: Logger, observer: SinkObserver): BatchedSink {
  const { maxInFlightBytes } = config.memory;
  const deadLetterFolder = join(config.dataDir, "dead-letters");
  return openSink(
    { ...config.sink, maxInFlightBytes, deadLetterFolder },
    { clock, random, logger, observer },
  );
}

/** Undefined: there is no limit. */
function limitMemory(
  config: AgentConfig,
  parts: { readonly chunks: ChunkPool; readonly sink: BatchedSink; readonly log: Logger },
): MemoryLimit | undefined {
  const { chunks, sink, log: logger } = parts;
  const { max: configuredBytes, maxInFlightBytes } = config.memory;
  const constrainedBytes = process.constrainedMemory();
  const limitBytes = memoryLimitBytes({ configuredBytes, constrainedBytes, machineBytes: totalmem() });
  if (limitBytes === undefined) return undefined;
  const rssBytes = () => process.memoryUsage.rss();
  const fullBytes = fullReadingBytes({ limitBytes, rssBytes: rssBytes(), maxInFlightBytes });
  logger.info({ limitBytes, readingBytes: fullBytes }, "memory is limited");
  keepHeapSmall();
  const onBudget = (bytes: number) => {
    chunks.resize(Math.min(CHUNK_POOL_BYTES, bytes));
    // Whoever holds a chunk when reading stops may still deliver it, alone.
    sink.limitInFlight(Math.max(1, bytes));
  };
  const collect = garbageCollector();
  return MemoryLimit.start({ limitBytes, fullBytes, onBudget, rssBytes, collect, clock, logger });
}

function newRemoteConfig(
  config: AgentConfig,
  parts: {
    readonly ip: string;
    readonly client: StoreClient;
    readonly lastGood: VersionedFile<LastGood>;
    readonly supervisor: Supervisor;
    readonly log: Logger;
    readonly onChange: () => void;
  },
): RemoteConfig {
  const { ip, client, lastGood, supervisor, log, onChange } = parts;
  const check = insideAllow(compileAllowList(config.allow));
  let isReady = false;
  return new RemoteConfig({
    source: client,
    key: config.store.key.replace("%s", ip),
    parse: (value) => parseCollectConfig(value, check),
    lastGood,
    apply: (entries, revision) => {
      supervisor.apply(entries);
      if (!isReady) log.info({ ip, revision, entries: entries.length }, "agent is ready");
      isReady = true;
    },
    onChange,
    clock,
    random,
    log,
  });
}

function newStatusWriter(
  config: AgentConfig,
  parts: {
    readonly ip: string;
    readonly client: StoreClient;
    readonly lease: LeaseKeeper;
    readonly view: AgentView;
    readonly log: Logger;
  },
): StatusWriter {
  const { ip, client, lease, view, log } = parts;
  return new StatusWriter({
    client,
    lease,
    previousLease: new PreviousLease({ disk, path: join(config.dataDir, "status-lease.json"), log }),
    key: config.store.statusKey.replace("%s", ip),
    build: () => buildStatus(view),
    clock,
    random,
    log,
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function drain(
  supervisor: Supervisor,
  options: { readonly drainMs: number; readonly hurry: AbortSignal; readonly log: Logger },
): Promise<void> {
  const { drainMs, hurry, log } = options;
  const timeout = AbortSignal.timeout(drainMs);
  await supervisor.close({ signal: AbortSignal.any([timeout, hurry]) });
  if (timeout.aborted)
    log.warn({ drainMs }, "not everything was acknowledged in time, the rest is sent again");
}
