import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { asBuffer } from "../../base/as-buffer.ts";
import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { CodedError, errorCode, errorMessage } from "../../base/errors.ts";
import { type FolderLock, lockFolder } from "../../base/folder-lock.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { openStateMachine } from "../apply/state-machine.ts";
import { LmdbBackend } from "../backend/lmdb-backend.ts";
import type { Backend } from "../backend/port.ts";
import type { Lessor } from "../lease/types.ts";
import { openReplica } from "../replica/open-replica.ts";
import type { Replica } from "../replica/replica.ts";
import type { ReplicaLimits } from "../replica/replica-limits.ts";
import type { WatchHub } from "../watch/types.ts";

/** In the backend's bucket "meta". */
const LOG_ID_KEY = Buffer.from("log_id");

/** One member with its data open: what services are built on. */
export interface OpenedMember extends AsyncDisposable {
  readonly replica: Replica;
  readonly watchHub: WatchHub;
  readonly lessor: Lessor;
  readonly backend: Backend;
  /** Makes everything durable and lets go of the folder. Idempotent. */
  close(): Promise<void>;
}

export interface MemberOptions {
  /** etcd `--data-dir`; made when absent. */
  readonly dataFolder: string;
  /** For a new member; a folder with data keeps its own. */
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** False: a folder without data is refused (etcd `--initial-cluster-state existing`). */
  readonly mayBootstrap: boolean;
  readonly quotaBytes: number;
  readonly limits: Partial<ReplicaLimits> & { readonly tickMs: number; readonly electionTicks: number };
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

/**
 * Takes the data folder, opens backend, state and log in it and resolves when the member serves. The log is in
 * `member/wal`, the backend in `member/db`. Throws CodedError: ELOCKED, EFOLDER, and what backend and log refuse with.
 */
export async function openMember(options: MemberOptions): Promise<OpenedMember> {
  const { dataFolder } = options;
  const lock = await takeFolder(dataFolder);
  try {
    return await openLocked(options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(options: MemberOptions, lock: FolderLock): Promise<OpenedMember> {
  const { dataFolder, limits } = options;
  const memberFolder = join(dataFolder, "member");
  if (!options.mayBootstrap && !(await hasData(memberFolder))) {
    throw new CodedError(
      "EFOLDER",
      `Cannot join a cluster from data folder ${dataFolder}: --initial-cluster-state is "existing" and there is no data, ` +
        "but this release runs clusters of one member",
    );
  }
  await mkdir(memberFolder, { recursive: true, mode: 0o700 });
  const backend = await LmdbBackend.open(join(memberFolder, "db"));
  try {
    const { state, watchHub, lessor } = openStateMachine({
      backend,
      quotaBytes: options.quotaBytes,
      minLeaseTtlSeconds: Math.ceil((3 * limits.electionTicks * limits.tickMs) / 2 / 1_000),
    });
    const replica = await openReplica({
      ...options,
      folder: join(memberFolder, "wal"),
      state,
      ...backendLog(backend),
    });
    let closed: Promise<void> | undefined;
    const close = () => {
      closed ??= (async () => {
        await replica.close();
        await backend.close();
        await lock.release();
      })();
      return closed;
    };
    return { replica, watchHub, lessor, backend, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

/**
 * Which log the backend belongs to. Backends and logs of members that were set up alike look alike, down to the indexes:
 * without it, one beside another's log would be taken for its own.
 */
function backendLog(backend: Backend): {
  readonly logId: bigint | undefined;
  readonly onLogId: (logId: bigint) => void;
} {
  const record = backend.get("meta", LOG_ID_KEY);
  const logId = record === undefined ? undefined : asBuffer(record).readBigUInt64BE();
  const onLogId = (id: bigint) => {
    if (logId !== undefined || id === 0n) return;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(id);
    backend.put("meta", LOG_ID_KEY, bytes);
  };
  return { logId, onLogId };
}

async function takeFolder(folder: string): Promise<FolderLock> {
  try {
    return await lockFolder(folder);
  } catch (error) {
    if (errorCode(error) === "ELOCKED") throw error;
    throw new CodedError(
      "EFOLDER",
      `Cannot use data folder ${folder} (--data-dir): expected a folder this user can write to: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

async function hasData(memberFolder: string): Promise<boolean> {
  try {
    return (await readdir(memberFolder)).length > 0;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}
