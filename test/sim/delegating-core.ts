import type { ConfChange } from "../../store/raft/conf-change.ts";
import type { Message } from "../../store/raft/message.ts";
import type { ProgressView } from "../../store/raft/progress.ts";
import type {
  ConfState,
  KeptEntries,
  ProposeOutcome,
  RaftCore,
  RaftStatus,
  Ready,
  Write,
} from "../../store/raft/types.ts";

/** A core that does what another one does: for those that watch one, or do one thing otherwise. */
export class DelegatingCore implements RaftCore {
  protected readonly inner: RaftCore;

  constructor(inner: RaftCore) {
    this.inner = inner;
  }

  tick(): void {
    this.inner.tick();
  }

  step(message: Message): void {
    this.inner.step(message);
  }

  campaign(): void {
    this.inner.campaign();
  }

  propose(data: Uint8Array): ProposeOutcome {
    return this.inner.propose(data);
  }

  proposeConfChange(change: ConfChange): ProposeOutcome {
    return this.inner.proposeConfChange(change);
  }

  applyConfChange(change: ConfChange): ConfState {
    return this.inner.applyConfChange(change);
  }

  readIndex(context: bigint): ReturnType<RaftCore["readIndex"]> {
    return this.inner.readIndex(context);
  }

  transferLeader(transferee: bigint): void {
    this.inner.transferLeader(transferee);
  }

  reportUnreachable(id: bigint): void {
    this.inner.reportUnreachable(id);
  }

  reportSnapshot(id: bigint, outcome: "delivered" | "failed"): void {
    this.inner.reportSnapshot(id, outcome);
  }

  ready(): Ready | undefined {
    return this.inner.ready();
  }

  persisted(write: Write): void {
    this.inner.persisted(write);
  }

  applied(index: number): void {
    this.inner.applied(index);
  }

  compact(index: number, keep: KeptEntries): number {
    return this.inner.compact(index, keep);
  }

  get status(): RaftStatus {
    return this.inner.status;
  }

  get confState(): ConfState {
    return this.inner.confState;
  }

  progress(): ReadonlyMap<bigint, ProgressView> {
    return this.inner.progress();
  }
}
