import type { ConfChange } from "../../store/raft/conf-change.ts";
import type { Message } from "../../store/raft/message.ts";
import type { ProgressView } from "../../store/raft/progress.ts";
import type {
  ConfState,
  KeptEntries,
  ProposeOutcome,
  RaftCore,
  RaftStart,
  RaftStatus,
  Ready,
  Write,
} from "../../store/raft/types.ts";
import { LogMirror } from "./log-mirror.ts";
import type { RaftLaws } from "./raft-laws.ts";

/** A core that is held to the laws at each round that it gives. */
export class ObservedCore implements RaftCore {
  readonly #core: RaftCore;
  readonly #laws: RaftLaws;
  readonly #id: bigint;
  readonly #log: LogMirror;
  /** The term whose leader was found to hold what it must. */
  #checkedTerm = 0;

  constructor(core: RaftCore, start: RaftStart, laws: RaftLaws) {
    this.#core = core;
    this.#laws = laws;
    this.#id = start.id;
    this.#log = new LogMirror(start);
  }

  ready(): Ready | undefined {
    const ready = this.#core.ready();
    if (ready === undefined) return undefined;
    const { write, committed } = ready;
    if (write?.snapshot !== undefined) this.#log.reset(write.snapshot);
    for (const entry of write?.entries ?? []) this.#laws.holds(this.#id, entry, this.#log.append(entry));
    const { role, term } = this.#core.status;
    if (role === "leader" && term > this.#checkedTerm) {
      this.#laws.leads(this.#id, term);
      this.#laws.leaderHolds(this.#id, term, this.#log);
      this.#checkedTerm = term;
    }
    for (const entry of committed) this.#laws.commits(this.#id, entry, term);
    return ready;
  }

  tick(): void {
    this.#core.tick();
  }

  step(message: Message): void {
    this.#core.step(message);
  }

  campaign(): void {
    this.#core.campaign();
  }

  propose(data: Uint8Array): ProposeOutcome {
    return this.#core.propose(data);
  }

  proposeConfChange(change: ConfChange): ProposeOutcome {
    return this.#core.proposeConfChange(change);
  }

  applyConfChange(change: ConfChange): ConfState {
    return this.#core.applyConfChange(change);
  }

  readIndex(context: bigint): ReturnType<RaftCore["readIndex"]> {
    return this.#core.readIndex(context);
  }

  transferLeader(transferee: bigint): void {
    this.#core.transferLeader(transferee);
  }

  reportUnreachable(id: bigint): void {
    this.#core.reportUnreachable(id);
  }

  reportSnapshot(id: bigint, outcome: "delivered" | "failed"): void {
    this.#core.reportSnapshot(id, outcome);
  }

  persisted(write: Write): void {
    this.#core.persisted(write);
  }

  applied(index: number): void {
    this.#core.applied(index);
  }

  compact(index: number, keep: KeptEntries): number {
    return this.#core.compact(index, keep);
  }

  get status(): RaftStatus {
    return this.#core.status;
  }

  get confState(): ConfState {
    return this.#core.confState;
  }

  progress(): ReadonlyMap<bigint, ProgressView> {
    return this.#core.progress();
  }
}
