import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { Disk } from "../../base/disk.ts";
import type { Logger } from "../../base/log.ts";
import { nodeDisk } from "../../base/node-disk.ts";
import { type Random, seededRandom } from "../../base/random.ts";
import { OPEN_FILES_DEFAULT_MAX } from "../../conf/agent-config.ts";
import { type Entry, entrySchema } from "../../conf/collect-config.ts";
import { CheckpointStore } from "../../logagent/checkpoint/checkpoint-store.ts";
import { compileAllowList } from "../../logagent/source/allow-list.ts";
import { ChunkPool } from "../../logagent/source/chunk-pool.ts";
import { DeletedFiles } from "../../logagent/source/deleted-files.ts";
import { FileClaims } from "../../logagent/source/file-claims.ts";
import { LeftFiles } from "../../logagent/source/left-files.ts";
import type { MountTable } from "../../logagent/source/mount-table.ts";
import { OpenFiles } from "../../logagent/source/open-files.ts";
import { ScanQueue } from "../../logagent/source/scan-queue.ts";
import { SourceContext } from "../../logagent/source/source-context.ts";
import { TailSource } from "../../logagent/source/tail-source.ts";
import type { TailDeps } from "../../logagent/source/types.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemorySink } from "./memory-sink.ts";

/** A log line of the agent, as it was written. */
export interface Logged {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** One running source, and what it counts. */
export interface Running {
  readonly source: TailSource;
  readonly context: SourceContext;
}

/** Real files in a folder of their own, the real source, checkpoints on disk; time and destination are the test's. */
export class SourceBed implements AsyncDisposable {
  readonly folder: string;
  readonly clock = new ManualClock();
  readonly sink: MemorySink;
  readonly claims = new FileClaims();
  readonly openFiles: OpenFiles;
  readonly chunks: ChunkPool;
  readonly deletedFiles: DeletedFiles;
  readonly scans: ScanQueue;
  readonly logged: Logged[] = [];
  readonly logger: Logger;
  disk: Disk;
  checkpoints: CheckpointStore;
  leftFiles: LeftFiles;
  readonly #random: Random;
  readonly #allow: readonly string[];

  private constructor(options: BedOptions, folder: string) {
    this.folder = folder;
    this.sink = new MemorySink({ autoAck: options.autoAck ?? true });
    this.openFiles = new OpenFiles(options.openFilesMax ?? OPEN_FILES_DEFAULT_MAX);
    this.chunks = new ChunkPool(options.chunkPoolBytes);
    this.scans = new ScanQueue(options.mounts);
    this.disk = options.disk ?? nodeDisk;
    this.#random = seededRandom(options.seed ?? 1);
    this.#allow = options.allow ?? [`${folder}/logs/**`];
    this.logger = pino(
      { base: null },
      { write: (line) => void this.logged.push(JSON.parse(line) as Logged) },
    );
    this.deletedFiles = new DeletedFiles({ bytesMax: options.heldDeletedBytesMax, logger: this.logger });
    this.checkpoints = undefined as unknown as CheckpointStore;
    this.leftFiles = undefined as unknown as LeftFiles;
  }

  static async open(options: BedOptions = {}): Promise<SourceBed> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "logagent-source-")));
    const bed = new SourceBed(options, folder);
    await nodeDisk.makeFolder(join(folder, "logs"));
    await bed.openCheckpoints();
    return bed;
  }

  /** A path among the logs. */
  path(name: string): string {
    return join(this.folder, "logs", name);
  }

  get deps(): TailDeps {
    return {
      ip: "10.0.0.1",
      sink: this.sink,
      checkpoints: this.checkpoints,
      claims: this.claims,
      openFiles: this.openFiles,
      chunks: this.chunks,
      deletedFiles: this.deletedFiles,
      leftFiles: this.leftFiles,
      scans: this.scans,
      allow: compileAllowList(this.#allow),
      clock: this.clock,
      logger: this.logger,
    };
  }

  entry(fields: Partial<Entry> & { readonly path: string }): Entry {
    return entrySchema.parse({ topic: "t", ...fields });
  }

  start(fields: Partial<Entry> & { readonly path: string }): Running {
    const context = new SourceContext(this.entry(fields), this.deps);
    this.claims.add(context.entry.path);
    return { source: new TailSource(context), context };
  }

  /** Lets time pass, then polls and waits until nothing ships. */
  async step(running: Running, ms = 0): Promise<void> {
    this.clock.advance(ms);
    await running.source.poll();
    await running.source.idle();
  }

  /** As many steps as it takes for `ms`, one each 250 ms. */
  async run(running: Running, ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 250) await this.step(running, 250);
  }

  async stop(running: Running): Promise<void> {
    await running.source.stop();
    running.source.close();
  }

  /** Reads the checkpoints again, as a new process would. */
  async openCheckpoints(): Promise<void> {
    this.leftFiles?.close();
    this.checkpoints = await CheckpointStore.open({
      folder: join(this.folder, "checkpoints"),
      disk: this.disk,
      folders: this.scans.folders,
      clock: this.clock,
      random: this.#random,
      logger: this.logger,
    });
    this.leftFiles = new LeftFiles(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leftFiles.close();
    await this.checkpoints.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface BedOptions {
  readonly autoAck?: boolean;
  readonly seed?: number;
  readonly allow?: readonly string[];
  readonly chunkPoolBytes?: number;
  readonly heldDeletedBytesMax?: number;
  /** The machine's own unless told. */
  readonly mounts?: MountTable;
  readonly openFilesMax?: number;
  /** Of the checkpoints. */
  readonly disk?: Disk;
}
