import type { Clock } from "../../../base/clock.ts";
import type { Random } from "../../../base/random.ts";
import type { PeerHandler, PeerTransport, SnapshotContent } from "../../../store/peer/transport.ts";
import type { Message, SnapshotMessage } from "../../../store/raft/message.ts";

/** A message is on its way for 1 ms to this. */
const DELAY_MAX_MS = 8;
/** Who was not heard for this long is known to be away. */
const SILENCE_MS = 300;

interface Letter {
  readonly dueMs: number;
  readonly deliver: () => void;
}

interface Station {
  readonly handler: PeerHandler;
  readonly ended: Promise<void>;
  isEnded: boolean;
}

/** Connects the members of one process: messages take their time, in order from one member to another, and cuts lose them. */
export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stations = new Map<bigint, Station>();
  /** Since when. */
  readonly #cuts = new Map<string, number>();
  /** When the last letter from one member to another arrives. */
  readonly #lastDueMs = new Map<string, number>();
  #letters: Letter[] = [];
  /** Sees each message that is sent; false: it is lost. */
  filter: (message: Message) => boolean = () => true;
  /** Snapshots that arrived whole. */
  snapshots = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Nothing goes from one to the other any more, in this direction. */
  cutOneWay(from: bigint, to: bigint): void {
    this.#cuts.set(link(from, to), this.#clock.monotonicMs());
  }

  cut(a: bigint, b: bigint): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  heal(): void {
    this.#cuts.clear();
  }

  isCut(from: bigint, to: bigint): boolean {
    return this.#cuts.has(link(from, to));
  }

  /** False when it has ended, or was not heard for so long that it must be away. */
  isHeard(from: bigint, at: bigint): boolean {
    const station = this.#stations.get(from);
    const sinceMs = Math.min(
      ...[link(from, at), link(at, from)].map((key) => this.#cuts.get(key) ?? Infinity),
    );
    return station?.isEnded === false && this.#clock.monotonicMs() - sinceMs < SILENCE_MS;
  }

  /** Hands out what is due by now. */
  deliver(): void {
    const nowMs = this.#clock.monotonicMs();
    const due = this.#letters.filter(({ dueMs }) => dueMs <= nowMs);
    this.#letters = this.#letters.filter(({ dueMs }) => dueMs > nowMs);
    due.sort((a, b) => a.dueMs - b.dueMs);
    for (const { deliver } of due) deliver();
  }

  /** A member listens, until the end of its process. */
  connect(id: bigint, handler: PeerHandler): { readonly transport: PeerTransport; end(): void } {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const station = { handler, ended, isEnded: false };
    this.#stations.set(id, station);
    return {
      transport: new MemoryTransport(this, { id, station, clock: this.#clock }),
      end: () => {
        station.isEnded = true;
        resolve();
      },
    };
  }

  find(from: bigint, to: bigint): Station | undefined {
    const station = this.#stations.get(to);
    return station === undefined || station.isEnded || this.isCut(from, to) ? undefined : station;
  }

  /** False when it is known to be lost. */
  post(message: Message): boolean {
    const { from, to } = message;
    const station = this.find(from, to);
    if (station === undefined) return false;
    if (!this.filter(message)) return true;
    const key = link(from, to);
    const delayMs = 1 + Math.floor(this.#random.next() * DELAY_MAX_MS);
    const dueMs = Math.max(this.#clock.monotonicMs() + delayMs, this.#lastDueMs.get(key) ?? 0);
    this.#lastDueMs.set(key, dueMs);
    const deliver = () => {
      if (!station.isEnded && !this.isCut(from, to)) station.handler.receive(message);
    };
    this.#letters.push({ dueMs, deliver });
    return true;
  }
}

class MemoryTransport implements PeerTransport {
  readonly #network: MemoryNetwork;
  readonly #id: bigint;
  readonly #station: Station;
  readonly #clock: Clock;
  readonly #away = new Set<bigint>();
  #peers: ReadonlySet<bigint> | undefined;

  constructor(
    network: MemoryNetwork,
    { id, station, clock }: { readonly id: bigint; readonly station: Station; readonly clock: Clock },
  ) {
    this.#network = network;
    this.#id = id;
    this.#station = station;
    this.#clock = clock;
  }

  send(messages: readonly Message[]): void {
    if (this.#station.isEnded) return;
    for (const message of messages) {
      const { to } = message;
      if (this.#knows(to) && this.#network.post(message)) this.#away.delete(to);
      else this.#lost(to);
    }
  }

  async sendSnapshot(
    message: SnapshotMessage,
    { body }: SnapshotContent,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const { to } = message;
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) {
      await this.#clock.sleep(1, { signal });
      this.#requireConnected(to);
      chunks.push(chunk);
    }
    const station = this.#requireConnected(to);
    const taken = station.handler.receiveSnapshot(
      message,
      (async function* () {
        yield* chunks;
      })(),
    );
    await Promise.race([taken, station.ended]);
    this.#requireConnected(to);
    this.#network.snapshots += 1;
  }

  setPeers(peers: ReadonlyMap<bigint, unknown>): void {
    this.#peers = new Set(peers.keys());
  }

  isActive(id: bigint): boolean {
    return this.#knows(id) && this.#network.isHeard(id, this.#id);
  }

  async close(): Promise<void> {
    this.#peers = new Set();
  }

  #requireConnected(to: bigint): Station {
    const station = this.#knows(to) && !this.#station.isEnded ? this.#network.find(this.#id, to) : undefined;
    if (station === undefined || this.#network.isCut(to, this.#id)) throw new Error("the connection broke");
    return station;
  }

  #lost(to: bigint): void {
    if (this.#away.has(to)) return;
    this.#away.add(to);
    setImmediate(() => {
      if (!this.#station.isEnded) this.#station.handler.unreachable(to);
    });
  }

  #knows(id: bigint): boolean {
    return this.#peers?.has(id) ?? true;
  }
}

function link(from: bigint, to: bigint): string {
  return `${from} ${to}`;
}
