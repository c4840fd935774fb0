import { decodeConfChange } from "../../store/raft/conf-change.ts";
import type { Message } from "../../store/raft/message.ts";
import { Raft } from "../../store/raft/raft.ts";
import type {
  ConfState,
  Entry,
  EntryId,
  HardState,
  RaftOptions,
  ReadState,
  Ready,
  SnapshotMeta,
  Write,
} from "../../store/raft/types.ts";

/** What a member still has after a crash: its log, and the state that its backend holds. */
export interface MemberDisk {
  hardState: HardState;
  compacted: EntryId;
  entries: Entry[];
  applied: number;
  confState: ConfState;
  /** Data of the normal entries that were applied, empty ones left out. */
  state: readonly string[];
}

/** What a member needs of the network that it is in. */
export interface MemberPort {
  send(message: Message): void;
  appliedEntry(member: RaftMember, entry: Entry): void;
  /** Contents of the snapshots that were described in a message, by their index. */
  readonly snapshots: Map<number, readonly string[]>;
}

/** A core with a disk and a state machine, either of which may be made to wait. */
export class RaftMember {
  readonly id: bigint;
  readonly disk: MemberDisk;
  readonly readStates: ReadState[] = [];
  core: Raft;
  /** Writes wait for {@link flush}. */
  isDiskSlow = false;
  /** Committed entries wait for {@link applyAll}. */
  isApplyingSlow = false;
  /** A snapshot can be made of the state. */
  hasSnapshot = true;
  readonly #port: MemberPort;
  readonly #options: RaftOptions;
  #writes: Write[] = [];
  #committed: Entry[] = [];

  constructor(id: bigint, disk: MemberDisk, options: Omit<RaftOptions, "snapshot">, port: MemberPort) {
    this.id = id;
    this.disk = disk;
    this.#port = port;
    this.#options = { ...options, snapshot: () => this.#makeSnapshot() };
    this.core = this.#start();
  }

  /** Takes what the core wants done, and does what need not wait. Returns false when there was nothing. */
  work(): boolean {
    const ready = this.core.ready();
    if (ready === undefined) return false;
    this.take(ready);
    return true;
  }

  take({ messages, readStates, write, committed }: Ready): void {
    for (const message of messages) this.#port.send(message);
    this.readStates.push(...readStates);
    if (write !== undefined) this.#writes.push(write);
    this.#committed.push(...committed);
    if (!this.isDiskSlow) this.flush();
    if (!this.isApplyingSlow) this.applyAll();
  }

  /** Writes that wait for the disk, the oldest first. */
  get writes(): readonly Write[] {
    return this.#writes;
  }

  /** The oldest writes reach the disk. */
  flush(count = this.#writes.length): void {
    for (const write of this.#writes.splice(0, count)) this.#persist(write);
  }

  /** Everything that was handed out for applying is applied. */
  applyAll(): void {
    for (const entry of this.#committed.splice(0)) this.#apply(entry);
  }

  /** Entries and hard state that are not on disk, and whatever was only in memory, are gone. */
  restart(): void {
    this.#writes = [];
    this.#committed = [];
    this.core = this.#start();
  }

  /** Cuts the log, which the state makes superfluous, whole up to `index`. */
  compact(index: number): void {
    this.core.compact(index, { entries: 0, bytes: 0 });
    const { disk } = this;
    const last = disk.entries[index - disk.compacted.index - 1];
    if (last === undefined) return;
    disk.entries = disk.entries.slice(index - disk.compacted.index);
    disk.compacted = { term: last.term, index };
  }

  /** Terms of the entries on disk. */
  get terms(): readonly number[] {
    return this.disk.entries.map(({ term }) => term);
  }

  #start(): Raft {
    return new Raft({ id: this.id, ...this.disk, entries: [...this.disk.entries] }, this.#options);
  }

  #persist(write: Write): void {
    const { disk } = this;
    if (write.snapshot !== undefined) this.#install(write.snapshot);
    const first = write.entries[0];
    if (first !== undefined) {
      const kept = disk.entries.slice(0, first.index - disk.compacted.index - 1);
      disk.entries = [...kept, ...write.entries];
    }
    disk.hardState = write.hardState ?? disk.hardState;
    const own = write.responses.filter(({ to }) => to === this.id);
    for (const message of own) this.core.step(message);
    this.core.persisted(write);
    for (const message of write.responses) if (message.to !== this.id) this.#port.send(message);
  }

  #install({ term, index, confState }: SnapshotMeta): void {
    const { disk } = this;
    const state = this.#port.snapshots.get(index);
    if (state === undefined) throw new Error(`Cannot install snapshot ${index}: it was never made`);
    disk.compacted = { term, index };
    disk.entries = [];
    disk.applied = index;
    disk.confState = confState;
    disk.state = state;
  }

  #apply(entry: Entry): void {
    const { disk } = this;
    if (entry.kind === "confChange") {
      disk.confState = this.core.applyConfChange(decodeConfChange(entry.data));
    } else if (entry.data.length > 0) {
      disk.state = [...disk.state, Buffer.from(entry.data).toString()];
    }
    disk.applied = entry.index;
    this.#port.appliedEntry(this, entry);
    this.core.applied(entry.index);
  }

  #makeSnapshot(): SnapshotMeta | undefined {
    const { applied: index, compacted, entries, confState, state } = this.disk;
    const term = index === compacted.index ? compacted.term : entries[index - compacted.index - 1]?.term;
    if (!this.hasSnapshot || term === undefined) return undefined;
    this.#port.snapshots.set(index, state);
    return { term, index, confState };
  }
}
