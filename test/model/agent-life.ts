import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { invariant } from "../../base/invariant.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { type Entry, entrySchema } from "../../conf/collect-config.ts";
import { CheckpointStore } from "../../logagent/checkpoint/checkpoint-store.ts";
import { inodesIn } from "../../logagent/checkpoint/inodes-in.ts";
import { compileAllowList } from "../../logagent/source/allow-list.ts";
import { ChunkPool } from "../../logagent/source/chunk-pool.ts";
import { DeletedFiles } from "../../logagent/source/deleted-files.ts";
import { FileClaims } from "../../logagent/source/file-claims.ts";
import { LeftFiles } from "../../logagent/source/left-files.ts";
import { OpenFiles } from "../../logagent/source/open-files.ts";
import { SourceContext } from "../../logagent/source/source-context.ts";
import { TailSource } from "../../logagent/source/tail-source.ts";
import type { TailDeps } from "../../logagent/source/types.ts";
import { CountedScans } from "./counted-scans.ts";
import { DyingDisk } from "./dying-disk.ts";
import type { ModelSink } from "./model-sink.ts";

/** Nothing happens for so many turns of the event loop: it is at rest. */
const QUIET_TURNS = 6;
const TURNS_MAX = 100_000;

export interface LifeOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly sink: ModelSink;
  readonly logs: string;
  readonly chunkPoolBytes: number;
  readonly openFilesMax: number;
  /** Calls about files so far. */
  readonly fsCalls: () => number;
}

/** The agent between its start and its end: the real checkpoints, and the real source while there is an entry. */
export class AgentLife {
  readonly checkpoints: CheckpointStore;
  readonly disk: DyingDisk;
  source: TailSource | undefined;
  context: SourceContext | undefined;
  readonly #options: LifeOptions;
  readonly #scans = new CountedScans();
  readonly #deps: TailDeps;
  readonly #leftFiles: LeftFiles;

  private constructor(options: LifeOptions, disk: DyingDisk, checkpoints: CheckpointStore) {
    this.#options = options;
    this.disk = disk;
    this.checkpoints = checkpoints;
    const { sink, clock, logger, logs } = options;
    const claims = new FileClaims();
    const openFiles = new OpenFiles(options.openFilesMax);
    this.#leftFiles = new LeftFiles({ checkpoints, claims, openFiles, clock, logger });
    this.#deps = {
      ip: "10.0.0.1",
      sink,
      checkpoints,
      claims,
      openFiles,
      chunks: new ChunkPool(options.chunkPoolBytes),
      deletedFiles: new DeletedFiles({ logger }),
      leftFiles: this.#leftFiles,
      scans: this.#scans,
      allow: compileAllowList([`${logs}/**`]),
      clock,
      logger,
    };
  }

  static async begin(options: LifeOptions): Promise<AgentLife> {
    const disk = new DyingDisk(options.disk);
    const { clock, random, logger } = options;
    const checkpoints = await CheckpointStore.open({
      folder: `${options.logs}.c`,
      disk,
      folders: { look: inodesIn },
      clock,
      random,
      logger,
    });
    return new AgentLife(options, disk, checkpoints);
  }

  addEntry(entry: { readonly path: string; readonly topic: string; readonly from: Entry["from"] }): void {
    if (this.source !== undefined) return;
    this.context = new SourceContext(entrySchema.parse(entry), this.#deps);
    this.#deps.claims.setOrder([entry.path]);
    this.source = new TailSource(this.context);
  }

  /** As a task ends: what is in flight is waited for only when `settles` says that it will be. */
  async removeEntry(): Promise<void> {
    const { source } = this;
    if (source === undefined) return;
    await this.#atRest(source.stop());
    source.close();
    await this.#atRest(this.checkpoints.persisted());
    this.source = undefined;
    this.context = undefined;
  }

  async poll(): Promise<void> {
    if (this.source === undefined) return this.#rest();
    // While its disk is dead it waits for ever.
    await this.#atRest(this.source.poll());
  }

  /** All is written. */
  async stop(): Promise<void> {
    this.#leftFiles.close();
    await this.removeEntry();
    await this.#atRest(this.checkpoints.close());
  }

  /** Nothing is written any more, nothing read, nothing said. */
  async die(): Promise<void> {
    this.disk.dieAfter(0);
    this.#leftFiles.close();
    const { source } = this;
    this.source = undefined;
    this.context = undefined;
    if (source === undefined) return;
    await this.#atRest(source.stop());
    source.close();
    // With its process its scans go.
    while (this.#scans.running > 0) await nextTurn();
    await this.#rest();
  }

  async #atRest(work: Promise<unknown>): Promise<void> {
    let error: unknown;
    let isDone = false;
    work.then(
      () => {
        isDone = true;
      },
      (reason: unknown) => {
        isDone = true;
        error = reason;
      },
    );
    await this.#rest();
    // What is unpacked is written by others.
    while (!isDone && !this.disk.isDead) await nextTurn();
    invariant(isDone || this.disk.isDead, "what the agent does comes to an end");
    if (error !== undefined) throw error;
  }

  async #rest(): Promise<void> {
    const { fsCalls, sink } = this.#options;
    let quiet = 0;
    let before = -1;
    for (let turns = 0; quiet < QUIET_TURNS; turns += 1) {
      invariant(turns < TURNS_MAX, "the agent comes to rest");
      await nextTurn();
      const activity = fsCalls() + sink.deliveries + this.disk.operations;
      quiet = activity === before ? quiet + 1 : 0;
      before = activity;
    }
  }
}
