import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { CodedError, errorCode, errorMessage } from "../../base/errors.ts";
import { type FolderLock, lockFolder } from "../../base/folder-lock.ts";
import { systemLater } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { OpenedStateMachine } from "../apply/types.ts";
import { LmdbBackend } from "../backend/lmdb-backend.ts";
import type { Backend } from "../backend/port.ts";
import type { Lessor } from "../lease/types.ts";
import { type BootstrapConfig, type BootstrapPlan, firstLog } from "../membership/bootstrap-plan.ts";
import { findMember, type Member } from "../membership/types.ts";
import type { CallHandler } from "../peer/call-server.ts";
import type { TcpTransport } from "../peer/tcp-transport.ts";
import { idText } from "../raft/id-text.ts";
import type { LoopDelay } from "../replica/loop-delay.ts";
import type { Replica } from "../replica/replica.ts";
import type { ReplicaLimits } from "../replica/replica-limits.ts";
import type { WalStart } from "../wal/open-log.ts";
import type { WalIdentity } from "../wal/wal.ts";
import type { WatchHub } from "../watch/types.ts";
import { MemberPeers } from "./member-peers.ts";
import { memberTransport } from "./member-transport.ts";
import { openMemberReplica } from "./open-member-replica.ts";
import { openMemberState } from "./open-member-state.ts";

/** One member with its data open: what services are built on. */
export interface OpenedMember extends AsyncDisposable {
  readonly replica: Replica;
  readonly transport: TcpTransport;
  readonly watchHub: WatchHub;
  readonly lessor: Lessor;
  readonly backend: Backend;
  readonly loopDelay: LoopDelay;
  /** Makes everything durable and lets go of the folder. Idempotent. */
  close(): Promise<void>;
}

export interface MemberOptions {
  /** etcd `--data-dir`; made when absent. */
  readonly dataFolder: string;
  readonly bootstrap: BootstrapConfig;
  /** How a member without data begins; asked once the folder is this process's. */
  readonly plan: (hasData: boolean) => Promise<BootstrapPlan>;
  /** Looks at what a member with data has in its file, before it takes part in anything; a rejection ends the start. */
  readonly beforeStart?: (state: OpenedStateMachine["state"], memberId: bigint) => Promise<void>;
  /** etcd `--force-new-cluster`: this member goes on alone, the others are removed. Without effect when it has no data. */
  readonly isForced: boolean;
  /** Answers what other members ask beside the log. */
  readonly onCall: CallHandler;
  /** This member was removed from the cluster, and is to end. May be called more than once. */
  readonly onRemoved: () => void;
  readonly quotaBytes: number;
  /** etcd `--max-request-bytes`. */
  readonly requestBytesMax: number;
  readonly limits: Partial<ReplicaLimits> & { readonly tickMs: number; readonly electionTicks: number };
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

/**
 * Takes the data folder, opens backend, state and log in it and starts the member; a cluster of one is awaited until it
 * serves. The log is in `member/wal`, the backend in `member/db`, snapshots in `member/snap`. Throws CodedError: ELOCKED,
 * EFOLDER, EBOOTSTRAP, and what backend and log refuse with.
 */
export async function openMember(options: MemberOptions): Promise<OpenedMember> {
  const lock = await takeFolder(options.dataFolder);
  try {
    return await openLocked(options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(options: MemberOptions, lock: FolderLock): Promise<OpenedMember> {
  const folder = join(options.dataFolder, "member");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const backend = await LmdbBackend.open(join(folder, "db"));
  try {
    const member = await startMember(options, { folder, backend });
    let closed: Promise<void> | undefined;
    const close = () => {
      closed ??= (async () => {
        await member.close();
        await backend.close();
        await lock.release();
      })();
      return closed;
    };
    return { ...member, backend, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

interface Place {
  readonly folder: string;
  readonly backend: Backend;
}

async function startMember(
  options: MemberOptions,
  { folder, backend }: Place,
): Promise<Omit<OpenedMember, "backend" | typeof Symbol.asyncDispose>> {
  const walFolder = join(folder, "wal");
  const snapshotFolder = join(folder, "snap");
  const memberState = await openMemberState({ ...options, snapshotFolder, walFolder, backend });
  const { walStart, opened } = memberState;
  const { state } = opened;
  if (walStart !== undefined) await options.beforeStart?.(state, walStart.memberId);
  const plan = await planOf(options, state, walStart);
  const peers = new MemberPeers({
    state,
    planned: plan.kind === "restart" ? [] : plan.members,
    makeTransport: (wiring) => memberTransport(options, wiring),
    onRemoved: options.onRemoved,
  });
  const replica = await openMemberReplica({
    ...options,
    later: systemLater,
    walFolder,
    backend,
    memberState,
    peers,
    first: {
      entries: [],
      ...(plan.kind === "restart" ? { ...firstLog(options.bootstrap), memberId: 0n } : plan),
    },
    loneMember: (id) => loneMember(options, id),
    checkOwner: (identity) => checkOwner(options, state, identity),
  });
  const close = async () => {
    await replica.close();
    await peers.transport.close();
  };
  return { ...opened, replica, transport: peers.transport, loopDelay: replica.loopDelay, close };
}

/**
 * How the member begins. One that joined, and ended before the leader sent it anything, has a log without an entry: it is
 * told anew of the others, whom it would not know otherwise. When nobody tells it, it waits to hear from them.
 */
async function planOf(
  { bootstrap, plan, logger }: MemberOptions,
  state: OpenedStateMachine["state"],
  walStart: WalStart | undefined,
): Promise<BootstrapPlan> {
  const hasLog = walStart !== undefined && (walStart.hasEntries || walStart.after.index > 0);
  if (hasLog || state.members.length > 0) return plan(true);
  if (walStart === undefined || bootstrap.isNew) return plan(false);
  try {
    return await plan(false);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    logger.warn(
      { reason: error.message },
      "cannot ask for the members of the cluster, waiting to hear from it",
    );
    return plan(true);
  }
}

/** What a folder of before there were several members does not say of its one. */
function loneMember({ bootstrap }: MemberOptions, id: bigint): Member {
  const { name, advertisePeerUrls: peerUrls } = bootstrap;
  return { id, name, peerUrls, clientUrls: [], isLearner: false };
}

/** A folder that is another member's would make two of one member, and none of the other. */
function checkOwner(
  { dataFolder, bootstrap: { name } }: MemberOptions,
  state: OpenedStateMachine["state"],
  { memberId }: WalIdentity,
): void {
  const owner = findMember(state.members, memberId);
  const named = state.members.find((member) => member.name === name);
  if (owner === undefined || named === undefined || named.id === memberId) return;
  throw new CodedError(
    "EFOLDER",
    `Cannot use data folder ${dataFolder} (--data-dir): it is of member ${idText(memberId)}, "${owner.name}", ` +
      `and --name is "${name}", which is member ${idText(named.id)}`,
  );
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
