import { type Logger, pino } from "pino";
import type { Disk, DiskFile } from "../../../base/disk.ts";
import { type Random, seededRandom } from "../../../base/random.ts";
import { openReplica, type ReplicaOptions } from "../../../store/replica/open-replica.ts";
import type { ReadyLoop } from "../../../store/replica/ready-loop.ts";
import type { ProposeOptions } from "../../../store/replica/replica.ts";
import type { ReplicaLimits } from "../../../store/replica/replica-limits.ts";
import type { SnapshotStore } from "../../../store/replica/snapshot-exchange.ts";
import { EMPTY_LIST, type ListImage, ListState, proposal } from "../../support/list-state.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { firstEntries, NO_PEERS, NO_SNAPSHOTS } from "../../support/no-peers.ts";

export const FOLDER = "/data/wal";

/** A replica of a list on a disk in memory, with time that the test moves. */
export class ReplicaBed {
  readonly memory = new MemoryDisk();
  /** What a replica is given instead of the disk as it is. */
  inFront: (disk: Disk) => Disk = (disk) => disk;
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly fatal: unknown[] = [];
  readonly logged: Record<string, unknown>[] = [];
  readonly logger: Logger;

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    this.logger = pino({ level: "info" }, { write: (line) => void this.logged.push(JSON.parse(line)) });
  }

  open(
    options: {
      readonly image?: ListImage;
      readonly state?: ListState;
      readonly limits?: Partial<ReplicaLimits>;
      readonly memberId?: bigint;
      readonly force?: ReplicaOptions<ListState>["force"];
      readonly snapshots?: SnapshotStore;
    } = {},
  ): Promise<ReadyLoop<ListState>> {
    return openReplica({
      disk: this.inFront(this.memory.forProcess()),
      folder: FOLDER,
      clock: this.clock,
      random: this.random,
      logger: this.logger,
      clusterId: 0xc1n,
      memberId: options.memberId ?? 0xa1n,
      firstEntries: firstEntries([options.memberId ?? 0xa1n]),
      snapshots: options.snapshots ?? NO_SNAPSHOTS,
      connect: () => NO_PEERS,
      state: options.state ?? new ListState(options.image ?? EMPTY_LIST),
      onFatal: (error) => this.fatal.push(error),
      limits: { segmentBytes: 8 * 1024, ...options.limits },
      ...(options.force !== undefined && { force: options.force }),
    });
  }
}

const forever = new AbortController().signal;

/** Proposes a value and resolves with the state machine's answer as text. */
export async function put(
  replica: ReadyLoop<ListState>,
  value: string,
  options: Partial<ProposeOptions> = {},
): Promise<string> {
  const requestId = replica.nextRequestId();
  const outcome = await replica.propose(requestId, proposal(requestId, value), {
    signal: forever,
    ...options,
  });
  if (outcome.kind !== "done") throw outcome.error;
  return Buffer.from(outcome.response).toString();
}

export function read(replica: ReadyLoop<ListState>, signal: AbortSignal = forever): Promise<void> {
  return replica.readIndex({ signal });
}

/** Turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A disk whose files say that they are synced, and are not. */
export function withoutSync(disk: Disk): Disk {
  return {
    ...disk,
    open: async (path, options): Promise<DiskFile> => ({
      ...(await disk.open(path, options)),
      sync: async () => undefined,
    }),
  };
}
