import { errorCode } from "../../base/errors.ts";
import { decodeConfChange } from "../../store/raft/conf-change.ts";
import type { Message } from "../../store/raft/message.ts";
import { Raft } from "../../store/raft/raft.ts";
import type { ConfState, Entry, RaftCore, RaftLimits, SnapshotMeta, Write } from "../../store/raft/types.ts";
import type { Chance } from "./chance.ts";
import type { CoreDisk, ListSnapshot } from "./core-disk.ts";
import { ObservedCore } from "./observed-core.ts";
import type { RaftLaws } from "./raft-laws.ts";
import type { SimProcess } from "./sim-process.ts";

/** Of the log, below what is flushed. */
const KEPT = { entries: 5, bytes: 1000 };

export interface CoreMemberOptions {
  readonly id: bigint;
  readonly disk: CoreDisk;
  readonly process: SimProcess;
  readonly chance: Chance;
  readonly laws: RaftLaws;
  readonly tickMs: number;
  readonly limits: RaftLimits;
  /** `snapshot` is what a snapshot message among them goes with. */
  readonly send: (messages: readonly Message[], snapshot: ListSnapshot, member: CoreMember) => void;
  readonly onApplied: (entry: Entry, member: CoreMember) => void;
  readonly onRead: (context: bigint, member: CoreMember) => void;
  /** Replaces the core by one with a fault. */
  readonly wrap?: (core: RaftCore) => RaftCore;
}

/** One life of a bare core: its driver, with a disk that takes time and a state machine that is a list. */
export class CoreMember {
  readonly id: bigint;
  readonly process: SimProcess;
  readonly core: RaftCore;
  readonly disk: CoreDisk;
  /** Typical time of a write. */
  writeMs = 0.5;
  readonly #options: CoreMemberOptions;
  readonly #writes: Write[] = [];
  #isWriting = false;
  #turnIsDue = false;
  #values: string[];
  #applied: SnapshotMeta;
  /** Contents of snapshots that have come, by index. */
  readonly #contents = new Map<number, ListSnapshot>();
  readonly #reads: { readonly index: number; readonly context: bigint }[] = [];

  constructor(options: CoreMemberOptions) {
    const { id, disk, process, chance, laws } = options;
    this.id = id;
    this.process = process;
    this.disk = disk;
    this.#options = options;
    this.#values = [...disk.snapshot.values];
    this.#applied = disk.snapshot.meta;
    const start = disk.start(id);
    const raft = new Raft(start, {
      limits: options.limits,
      policy: { preVote: true, checkQuorum: true, stepDownOnRemoval: false, validateConfChanges: true },
      random: chance.fork(),
      snapshot: () => this.disk.snapshot.meta,
    });
    const core = options.wrap?.(raft) ?? raft;
    this.core = new ObservedCore(core, start, laws);
    this.#tick();
  }

  get appliedIndex(): number {
    return this.#applied.index;
  }

  get values(): readonly string[] {
    return this.#values;
  }

  get confState(): ConfState {
    return this.#applied.confState;
  }

  receive(message: Message, content: ListSnapshot | undefined): void {
    if (message.kind === "snapshot" && content !== undefined)
      this.#contents.set(message.snapshot.index, content);
    this.core.step(message);
    this.schedule();
  }

  /** Work is taken a turn later, with what comes meanwhile. */
  schedule(): void {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    this.process.after(this.#options.chance.next() * 0.2, () => {
      this.#turnIsDue = false;
      this.#turn();
    });
  }

  /** What the disk keeps of writes under way when the power goes: the first ones. */
  crash(): void {
    const kept = this.#options.chance.below(this.#writes.length + 1);
    for (const write of this.#writes.slice(0, kept)) this.#toDisk(write);
  }

  #tick(): void {
    const { process, tickMs, chance } = this.#options;
    process.after(tickMs * (0.9 + 0.2 * chance.next()), () => {
      this.core.tick();
      this.#handOver();
      this.#turn();
      if (chance.hits(0.02)) this.#flush();
      this.#tick();
    });
  }

  /** One that was removed leads only until another one can (the driver's part, as stepDownOnRemoval is off). */
  #handOver(): void {
    const { voters } = this.#applied.confState;
    const { role, transferee } = this.core.status;
    if (role !== "leader" || transferee !== 0n || voters.length === 0 || voters.includes(this.id)) return;
    this.core.transferLeader(this.#options.chance.pick(voters));
  }

  #turn(): void {
    for (let ready = this.core.ready(); ready !== undefined; ready = this.core.ready()) {
      this.#options.send(ready.messages, this.disk.snapshot, this);
      if (ready.write !== undefined) this.#writes.push(ready.write);
      for (const { index, context } of ready.readStates) this.#reads.push({ index, context });
      this.#apply(ready.committed);
    }
    this.#serveReads();
    this.#write();
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const confState = entry.kind === "confChange" ? this.#configure(entry.data) : this.#applied.confState;
      if (entry.kind === "normal" && entry.data.length > 0)
        this.#values.push(Buffer.from(entry.data).toString());
      this.#applied = { term: entry.term, index: entry.index, confState };
      this.#options.onApplied(entry, this);
      this.core.applied(entry.index);
    }
  }

  /** A change that does not fit has no effect, on any member. */
  #configure(data: Uint8Array): ConfState {
    try {
      return this.core.applyConfChange(decodeConfChange(data));
    } catch (error) {
      if (errorCode(error) !== "ECONFCHANGE") throw error;
      return this.#applied.confState;
    }
  }

  #serveReads(): void {
    for (const read of this.#reads.splice(0)) {
      if (read.index <= this.appliedIndex) this.#options.onRead(read.context, this);
      else this.#reads.push(read);
    }
  }

  /** One write at a time, in order. */
  #write(): void {
    const [write] = this.#writes;
    if (this.#isWriting || write === undefined) return;
    this.#isWriting = true;
    this.process.after(this.#options.chance.longTail(this.writeMs), () => {
      this.#isWriting = false;
      this.#writes.shift();
      this.#toDisk(write);
      this.#persisted(write);
      this.#turn();
    });
  }

  #toDisk(write: Write): void {
    this.disk.write(write, write.snapshot && this.#contents.get(write.snapshot.index));
  }

  #persisted(write: Write): void {
    if (write.snapshot !== undefined) {
      this.#values = [...this.disk.snapshot.values];
      this.#applied = this.disk.snapshot.meta;
    }
    const own = write.responses.filter(({ to }) => to === this.id);
    this.#options.send(
      write.responses.filter(({ to }) => to !== this.id),
      this.disk.snapshot,
      this,
    );
    for (const message of own) this.core.step(message);
    this.core.persisted(write);
  }

  #flush(): void {
    if (this.#applied.index <= this.disk.snapshot.meta.index) return;
    this.disk.flush({ meta: this.#applied, values: [...this.#values] });
    this.disk.cut(this.core.compact(this.#applied.index, KEPT));
  }
}
