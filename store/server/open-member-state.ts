import type { Disk } from "../../base/disk.ts";
import type { Logger } from "../../base/log.ts";
import { readSnapshotMeta } from "../apply/snapshot-meta.ts";
import { openStateMachine } from "../apply/state-machine.ts";
import type { OpenedStateMachine } from "../apply/types.ts";
import type { Backend } from "../backend/port.ts";
import { recoverSnapshot } from "../snap/recover-snapshot.ts";
import { SnapshotFolder } from "../snap/snapshot-folder.ts";
import { readWalStart, type WalStart } from "../wal/open-log.ts";

export interface MemberState {
  readonly snapshots: SnapshotFolder;
  /** Undefined: there is no log yet. */
  readonly walStart: WalStart | undefined;
  readonly opened: OpenedStateMachine;
}

/**
 * Opens what a member has applied, before its log: an install that a crash interrupted is finished first. Throws
 * CodedError: ESNAPSHOT, EFORMAT, and what the log's headers are refused with.
 */
export async function openMemberState(options: {
  readonly disk: Disk;
  readonly snapshotFolder: string;
  readonly walFolder: string;
  readonly backend: Backend;
  readonly quotaBytes: number;
  readonly limits: { readonly tickMs: number; readonly electionTicks: number };
  readonly logger: Logger;
}): Promise<MemberState> {
  const { disk, backend, limits } = options;
  const readMeta = readSnapshotMeta;
  const snapshots = await SnapshotFolder.open({ ...options, folder: options.snapshotFolder, readMeta });
  const walStart = await readWalStart({ disk, folder: options.walFolder });
  await recoverSnapshot({ snapshots, walStart, backend, readMeta });
  const opened = openStateMachine({
    backend,
    quotaBytes: options.quotaBytes,
    // etcd: one and a half election timeouts, in whole seconds.
    minLeaseTtlSeconds: Math.ceil((3 * limits.electionTicks * limits.tickMs) / 2 / 1_000),
  });
  return { snapshots, walStart, opened };
}
