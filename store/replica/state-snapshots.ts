import { invariant } from "../../base/invariant.ts";
import type { RunSteps } from "../../base/steps.ts";
import type { StateMachine } from "../apply/types.ts";
import type { SnapshotMeta } from "../raft/types.ts";
import type { SnapshotFolder } from "../snap/snapshot-folder.ts";
import type { OutgoingSnapshot, SnapshotStore } from "./snapshots.ts";

/** Snapshots of a state machine, by way of a folder of files. */
export class StateSnapshots implements SnapshotStore {
  readonly #folder: SnapshotFolder;
  readonly #state: Pick<StateMachine, "appliedIndex" | "flush" | "install">;
  readonly #run: RunSteps;

  constructor(parts: {
    readonly folder: SnapshotFolder;
    readonly state: Pick<StateMachine, "appliedIndex" | "flush" | "install">;
    readonly run: RunSteps;
  }) {
    this.#folder = parts.folder;
    this.#state = parts.state;
    this.#run = parts.run;
  }

  /** Of everything that is applied now: the core expects no less. */
  async make(options: { readonly signal: AbortSignal }): Promise<OutgoingSnapshot> {
    await this.#state.flush();
    const { meta, bytes, open, remove } = await this.#folder.make(options);
    return { meta, content: { bytes, body: open() }, remove };
  }

  async receive(meta: SnapshotMeta, body: AsyncIterable<Uint8Array>): Promise<void> {
    // Those that the core had no use for.
    await this.#folder.removeUpTo(this.#state.appliedIndex);
    await this.#folder.receive(meta, body);
  }

  async install(meta: SnapshotMeta): Promise<void> {
    const path = this.#folder.find(meta);
    invariant(path !== undefined, `the snapshot up to entry ${meta.index} was received`);
    await this.#state.install(path, this.#run);
    await this.#folder.removeUpTo(meta.index);
  }
}
