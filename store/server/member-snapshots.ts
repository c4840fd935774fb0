import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Later } from "../../base/later.ts";
import { runInSlices } from "../../base/steps.ts";
import type { StateMachine } from "../apply/types.ts";
import type { SnapshotStore } from "../replica/snapshot-exchange.ts";
import type { SnapshotFolder } from "../snap/snapshot-folder.ts";

/** A member's snapshots: copies of its state, and those of others that become it. */
export function memberSnapshots(parts: {
  readonly folder: SnapshotFolder;
  readonly state: StateMachine;
  readonly clock: Clock;
  readonly later: Later;
}): SnapshotStore {
  const { folder, state } = parts;
  return {
    make: async ({ signal }) => {
      // A copy is of what is committed to the file; it would lack what is newer.
      await state.flush();
      const { meta, bytes, open, remove } = await folder.make({ signal });
      return { meta, content: { bytes, body: open() }, remove };
    },
    receive: async (meta, body) => {
      // One that was passed by an append, or by a newer one, is of no use any more.
      await folder.removeUpTo(state.appliedIndex);
      await folder.receive(meta, body);
    },
    forget: (meta) => folder.forget(meta),
    install: async (meta) => {
      const path = folder.find(meta);
      if (path === undefined) {
        throw new CodedError(
          "ESNAPSHOT",
          `Cannot install the snapshot up to entry ${meta.index}: it is not there`,
        );
      }
      await state.install(path, runInSlices(parts));
      await folder.removeUpTo(meta.index);
    },
  };
}
