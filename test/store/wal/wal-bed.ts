import { join } from "node:path";
import { type Logger, pino } from "pino";
import { type Random, seededRandom } from "../../../base/random.ts";
import type { Entry, EntryId, HardState } from "../../../store/raft/types.ts";
import { type OpenedWal, Wal, type WalOptions } from "../../../store/wal/wal.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";

export const FOLDER = "/data/wal";
export const START: EntryId = { index: 0, term: 0 };

/** A log on a disk in memory, and the lines it logs. */
export class WalBed {
  readonly disk: MemoryDisk;
  readonly logged: Record<string, unknown>[] = [];
  readonly random: Random;
  readonly #logger: Logger;

  constructor(options: { readonly disk?: MemoryDisk; readonly seed?: number } = {}) {
    this.disk = options.disk ?? new MemoryDisk();
    this.random = seededRandom(options.seed ?? 1);
    this.#logger = pino({ level: "warn" }, { write: (line) => void this.logged.push(JSON.parse(line)) });
  }

  open(options: Partial<WalOptions> = {}): Promise<OpenedWal> {
    return Wal.open({
      disk: this.disk,
      folder: FOLDER,
      logger: this.#logger,
      random: this.random,
      identity: { clusterId: 0xc1n, memberId: 0xa1n },
      after: START,
      segmentBytes: 8 * 1024,
      ...options,
    });
  }

  /** Full paths of the segments, oldest first. */
  async segments(): Promise<readonly string[]> {
    const names = await this.disk.list(FOLDER);
    return names.filter((name) => name.endsWith(".wal")).map((name) => join(FOLDER, name));
  }

  async lastSegment(): Promise<string> {
    const path = (await this.segments()).at(-1);
    if (path === undefined) throw new Error("there is no segment");
    return path;
  }
}

export function entry(index: number, term: number, data: string | Uint8Array = `e${index}.${term}`): Entry {
  return { index, term, kind: "normal", data: Buffer.from(data) };
}

export function hardState(term: number, commit = 0): HardState {
  return { term, vote: 0xa1n, commit };
}

/** Entries as text, to compare: index, term, data. */
export function texts(entries: readonly Entry[]): readonly string[] {
  return entries.map(({ index, term, data }) => `${index}.${term} ${Buffer.from(data).toString("latin1")}`);
}
