import assert from "node:assert/strict";
import { pino } from "pino";
import type { Clock } from "../../../base/clock.ts";
import type { Disk } from "../../../base/disk.ts";
import { type Random, seededRandom } from "../../../base/random.ts";
import type { PeerTransport } from "../../../store/peer/transport.ts";
import type { ConfChange } from "../../../store/raft/conf-change.ts";
import { openReplica } from "../../../store/replica/open-replica.ts";
import type { ReadyLoop } from "../../../store/replica/ready-loop.ts";
import type { ReplicaLimits } from "../../../store/replica/replica-limits.ts";
import { EMPTY_LIST, type ListImage, ListState } from "../../support/list-state.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { firstEntries } from "../../support/no-peers.ts";
import { ListSnapshots, recoverImage } from "./list-snapshots.ts";
import { MemoryNetwork } from "./memory-network.ts";
import { turns } from "./replica-bed.ts";

const WAL = "/data/wal";
const SNAPSHOTS = "/data/snap";
const STEP_MS = 2;
/** Of the event loop, a step: what is asked of a disk takes one. */
const TURNS = 4;

export const TICK_MS = 100;
export const ELECTION_MS = 10 * TICK_MS;

/** Some members in one process, with time, messages and disks that the test moves. */
export class ClusterBed implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly network: MemoryNetwork;
  readonly #members = new Map<bigint, Member>();
  readonly #limits: Partial<ReplicaLimits>;

  private constructor(seed: number, limits: Partial<ReplicaLimits>) {
    this.random = seededRandom(seed);
    this.network = new MemoryNetwork(this.clock, seededRandom(seed + 1));
    this.#limits = { tickMs: TICK_MS, segmentBytes: 8 * 1024, ...limits };
  }

  /** A cluster of three, 1n to 3n, all of which run; `prepare` sees each before it starts. */
  static async open(
    options: {
      readonly seed?: number;
      readonly limits?: Partial<ReplicaLimits>;
      readonly prepare?: (member: Member, bed: ClusterBed) => void;
    } = {},
  ): Promise<ClusterBed> {
    const bed = new ClusterBed(options.seed ?? 1, options.limits ?? {});
    for (const id of [1n, 2n, 3n]) {
      const member = bed.#add(id, [1n, 2n, 3n]);
      options.prepare?.(member, bed);
      await member.start();
    }
    return bed;
  }

  /** A member that joins: its log begins with nothing. */
  async join(id: bigint): Promise<Member> {
    const member = this.#add(id, []);
    await member.start();
    return member;
  }

  /** Crashed or closed ones too. */
  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  get running(): readonly Member[] {
    return this.members.filter(({ isRunning }) => isRunning);
  }

  member(id: bigint): Member {
    const member = this.#members.get(id);
    assert.ok(member !== undefined, `there is a member ${id}`);
    return member;
  }

  /** Who leads, in the highest term; undefined: nobody. */
  get leader(): Member | undefined {
    const leaders = this.running.filter(({ replica }) => replica.status.role === "leader");
    return leaders.sort((a, b) => b.replica.status.term - a.replica.status.term)[0];
  }

  get followers(): readonly Member[] {
    return this.running.filter((member) => member !== this.leader);
  }

  /** A leader that all of the running members follow. */
  async elected(): Promise<Member> {
    await this.until("a leader that all follow", () => {
      const { leader } = this;
      return leader !== undefined && this.running.every(({ replica }) => replica.status.leader === leader.id);
    });
    return this.leader as Member;
  }

  /** Every running member has applied everything that is committed, and holds the same. */
  async settled(): Promise<readonly string[]> {
    await this.until("all have the same", () => {
      const commit = Math.max(...this.running.map(({ replica }) => replica.status.commit));
      return this.running.every(({ replica }) => replica.status.applied === commit);
    });
    const [first, ...others] = this.running.map(({ state }) => state.values);
    for (const other of others) assert.deepEqual(other, first);
    return first ?? [];
  }

  /** Lets time pass. */
  async run(ms: number): Promise<void> {
    for (const endMs = this.clock.monotonicMs() + ms; this.clock.monotonicMs() < endMs; ) await this.#step();
  }

  /** Lets time pass until it is so; returns how long that took. Fails when it takes longer than `withinMs`. */
  async until(what: string, isSo: () => boolean, withinMs = 20_000): Promise<number> {
    const sinceMs = this.clock.monotonicMs();
    while (!isSo()) {
      const passedMs = this.clock.monotonicMs() - sinceMs;
      assert.ok(passedMs < withinMs, `${what}: not within ${withinMs} ms\n${this.describe()}`);
      await this.#step();
    }
    return this.clock.monotonicMs() - sinceMs;
  }

  /** Lets time pass until the promise is settled. */
  async result<T>(promise: Promise<T>, withinMs?: number): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.until("it is settled", () => isSettled, withinMs);
    return promise;
  }

  /** This member hears nobody, and nobody hears it. */
  isolate({ id }: Member): void {
    for (const other of this.members) if (other.id !== id) this.network.cut(id, other.id);
  }

  describe(): string {
    return this.running
      .map(({ id, replica, state, fatal }) => {
        const { role, term, leader, commit, applied, lastIndex } = replica.status;
        const log = `commit ${commit}, applied ${applied}, last ${lastIndex}`;
        return `${id}: ${role} of term ${term} under ${leader}, ${log}, ${state.values.length} values, ${fatal}`;
      })
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.network.heal();
    await this.result(Promise.allSettled(this.running.map((member) => member.close())));
  }

  async #step(): Promise<void> {
    this.clock.advance(STEP_MS);
    this.network.deliver();
    await turns(TURNS);
  }

  #add(id: bigint, voters: readonly bigint[]): Member {
    const { clock, network, random } = this;
    const member = new Member({ id, voters, clock, network, random, limits: this.#limits });
    this.#members.set(id, member);
    return member;
  }
}

interface MemberOptions {
  readonly id: bigint;
  readonly voters: readonly bigint[];
  readonly clock: Clock;
  readonly network: MemoryNetwork;
  readonly random: Random;
  readonly limits: Partial<ReplicaLimits>;
}

interface Life {
  readonly replica: ReadyLoop<ListState>;
  readonly snapshots: ListSnapshots;
  readonly ended: Promise<void>;
  end(): void;
}

/** One member: a disk, the image that its state has flushed, and, while it runs, a replica over both. */
export class Member {
  readonly id: bigint;
  readonly disk = new MemoryDisk();
  readonly fatal: unknown[] = [];
  /** What the next start is given instead of the disk as it is. */
  inFront: (disk: Disk) => Disk = (disk) => disk;
  /** Of the next start. */
  prepareState: (state: ListState) => void = () => undefined;
  readonly #options: MemberOptions;
  #image: ListImage = EMPTY_LIST;
  #life: Life | undefined;
  /** Starts that found a snapshot which the log began behind and the state had not taken over. */
  recovered = 0;

  constructor(options: MemberOptions) {
    this.id = options.id;
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#life !== undefined;
  }

  get replica(): ReadyLoop<ListState> {
    assert.ok(this.#life !== undefined, `member ${this.id} runs`);
    return this.#life.replica;
  }

  get state(): ListState {
    return this.replica.state;
  }

  /** Resolves when this life of it is over. */
  get ended(): Promise<void> {
    assert.ok(this.#life !== undefined, `member ${this.id} runs`);
    return this.#life.ended;
  }

  get snapshots(): ListSnapshots {
    assert.ok(this.#life !== undefined, `member ${this.id} runs`);
    return this.#life.snapshots;
  }

  async start(): Promise<void> {
    assert.equal(this.#life, undefined);
    const { id, voters, clock, network, random, limits } = this.#options;
    const disk = this.inFront(this.disk.forProcess());
    const image = await recoverImage(disk, { wal: WAL, snapshots: SNAPSHOTS }, this.#image);
    if (image !== this.#image) this.recovered += 1;
    this.#image = image;
    const state = new ListState(image);
    this.prepareState(state);
    const snapshots = new ListSnapshots({ disk, folder: SNAPSHOTS, state });
    const life = new LifeTime(clock);
    let end = () => life.end();
    let setPeers: PeerTransport["setPeers"] = () => undefined;
    const replica = await openReplica({
      disk,
      folder: WAL,
      clock: life,
      later: (work) => life.later(work),
      random: seededRandom(Math.floor(random.next() * 2 ** 32)),
      logger: pino({ level: "silent" }),
      clusterId: 0xc1n,
      memberId: id,
      firstEntries: firstEntries(voters),
      snapshots,
      connect: (handler) => {
        const connected = network.connect(id, handler);
        setPeers = (peers) => connected.transport.setPeers(peers);
        end = () => {
          life.end();
          connected.end();
        };
        return connected.transport;
      },
      state,
      onMembers: () => {
        const { voters: all, votersOutgoing, learners, learnersNext } = state.confState;
        const ids = [...all, ...votersOutgoing, ...learners, ...learnersNext];
        // Who is not in it yet, or any more, knows whom it was told of.
        if (ids.includes(id)) setPeers(new Map(ids.map((peer) => [peer, { peerUrls: [] }])));
      },
      onFatal: (error) => {
        if (!life.isOver) this.fatal.push(error);
      },
      limits,
    });
    this.#life = { replica, snapshots, ended: life.ended, end };
  }

  /** The power goes: what is not synced or flushed may be gone. */
  crash(): void {
    const { image } = this.state;
    this.#image = image;
    this.#life?.end();
    this.#life = undefined;
    this.disk.crash({ random: this.#options.random });
  }

  /** A start that the power did not last for. */
  crashStart(): void {
    assert.equal(this.#life, undefined);
    this.disk.crash({ random: this.#options.random });
  }

  async close(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    await life.replica.close();
    if (this.#life !== life) return;
    this.#image = life.replica.state.image;
    life.end();
    this.#life = undefined;
  }

  /** Changes the configuration; resolves when this member has applied it. */
  async change(...changes: ConfChange["changes"]): Promise<void> {
    const { replica } = this;
    const requestId = replica.nextRequestId();
    const context = Buffer.alloc(8);
    context.writeBigUInt64BE(requestId);
    const signal = new AbortController().signal;
    await replica.proposeConfChange(requestId, { transition: "auto", changes, context }, { signal });
  }
}

/** Time as a process has it: none after its end. */
class LifeTime implements Clock {
  readonly #clock: Clock;
  readonly #over = Promise.withResolvers<void>();
  #isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  end(): void {
    this.#isOver = true;
    this.#over.resolve();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get ended(): Promise<void> {
    return this.#over.promise;
  }

  later(work: () => void): void {
    setImmediate(() => {
      if (!this.#isOver) work();
    });
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  async sleep(ms: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    await this.#clock.sleep(ms, options);
    if (this.#isOver) await new Promise(() => undefined);
  }
}
