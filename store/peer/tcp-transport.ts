import type { Clock } from "../../base/clock.ts";
import { type Later, systemLater } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { idText } from "../raft/id-text.ts";
import type { Message, SnapshotMessage } from "../raft/message.ts";
import { type CallHandler, CallServer } from "./call-server.ts";
import type { FrameChannel } from "./frame-channel.ts";
import type { Hello, Refusal } from "./handshake.ts";
import type { PeerContext } from "./peer-context.ts";
import type { PeerCounters } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import { PEER_LIMITS, type PeerLimits } from "./peer-limits.ts";
import { PeerListener } from "./peer-listener.ts";
import type { PeerAddress } from "./peer-socket.ts";
import { PeerState } from "./peer-state.ts";
import type { Peer, PeerHandler, PeerTransport, SnapshotContent } from "./transport.ts";

export interface TcpTransportOptions {
  readonly id: bigint;
  readonly clusterId: bigint;
  /** Where this member listens for members, as of now: told to one that has not heard of it, so that it can answer. */
  readonly peerUrls: () => readonly string[];
  readonly handler: PeerHandler;
  /** Whether a member was in the cluster once and is not any more. */
  readonly isRemoved: (id: bigint) => boolean;
  /** Another member says that this one was removed from the cluster for good. Called once at most. */
  readonly onRemoved: () => void;
  /** Answers what others ask beside the log; each call is refused when there is nobody to. */
  readonly onCall?: CallHandler;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly later?: Later;
  /** Those that differ from PEER_LIMITS. */
  readonly limits?: Partial<PeerLimits>;
}

/**
 * Members' messages over TCP: each member dials each other one, so that two of them share one connection for either
 * direction, and one more while a snapshot is under way.
 */
export class TcpTransport implements PeerTransport, AsyncDisposable {
  readonly #context: PeerContext;
  readonly #isRemoved: (id: bigint) => boolean;
  readonly #listener: PeerListener;
  readonly #calls: CallServer;
  readonly #peers = new Map<bigint, PeerState>();
  readonly #leaving = new Set<Promise<void>>();
  #hasToldRemoved = false;
  #closed: Promise<void> | undefined;

  constructor(options: TcpTransportOptions) {
    this.#context = {
      ...options,
      later: options.later ?? systemLater,
      limits: { ...PEER_LIMITS, ...options.limits },
      onRemoved: () => {
        if (this.#hasToldRemoved) return;
        this.#hasToldRemoved = true;
        options.onRemoved();
      },
    };
    this.#isRemoved = options.isRemoved;
    this.#calls = new CallServer(this.#context, options.onCall ?? refuseCall);
    this.#listener = new PeerListener(this.#context, {
      judge: (hello) => this.#judge(hello),
      admit: (hello, channel) => this.#admit(hello, channel),
    });
  }

  /** Listens and resolves with the port. Rejects with Node's error (EADDRINUSE, EACCES, …). */
  listen(address: PeerAddress): Promise<number> {
    return this.#listener.listen(address);
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) this.#peers.get(message.to)?.connection.send(message);
  }

  async sendSnapshot(
    message: SnapshotMessage,
    content: SnapshotContent,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const peer = this.#peers.get(message.to);
    if (peer === undefined) {
      await content.body[Symbol.asyncIterator]().return?.();
      throw new PeerError("EPEERSNAPSHOT", `Cannot send snapshot: member ${idText(message.to)} is unknown`);
    }
    await peer.sendSnapshot(message, content, options);
  }

  setPeers(peers: ReadonlyMap<bigint, Peer>): void {
    if (this.#closed !== undefined) return;
    for (const [id, { peerUrls }] of peers) {
      if (id === this.#context.id) continue;
      const known = this.#peers.get(id);
      if (known === undefined) this.#add(id, peerUrls, { isRemote: false });
      else known.become(peerUrls);
    }
    for (const [id, peer] of this.#peers) {
      if (!peers.has(id) && (!peer.isRemote || this.#isRemoved(id))) this.#drop(id, peer);
    }
  }

  isActive(id: bigint): boolean {
    return this.#peers.get(id)?.connection.isActive ?? false;
  }

  /** Bytes that wait to be sent to a peer. */
  waitingBytes(id: bigint): number {
    return this.#peers.get(id)?.connection.waitingBytes ?? 0;
  }

  /** What has passed between this member and each peer that it knows now. The numbers go on changing. */
  counters(): ReadonlyMap<bigint, Readonly<PeerCounters>> {
    return new Map([...this.#peers].map(([id, { counters }]) => [id, counters]));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const [id, peer] of this.#peers) this.#drop(id, peer);
    await Promise.all([this.#listener.close(), this.#calls.close(), ...this.#leaving]);
  }

  #add(id: bigint, peerUrls: readonly string[], options: { readonly isRemote: boolean }): PeerState {
    const peer = new PeerState({ id, peerUrls, ...options }, this.#context);
    this.#peers.set(id, peer);
    return peer;
  }

  #drop(id: bigint, peer: PeerState): void {
    this.#peers.delete(id);
    const leaving = peer.close().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  /** In etcd's order. */
  #judge(hello: Hello): Refusal | undefined {
    const { id, clusterId, limits } = this.#context;
    if (hello.kind === "call") return undefined;
    if (hello.clusterId !== clusterId) return "cluster";
    if (this.#isRemoved(hello.from)) return "removed";
    if (hello.to !== id) return "target";
    if (hello.from === id) return "unknown";
    const peer = this.#peers.get(hello.from);
    if (peer !== undefined) return hello.kind === "snapshot" && peer.takesSnapshot ? "busy" : undefined;
    const remotes = [...this.#peers.values()].filter(({ isRemote }) => isRemote).length;
    return hello.peerUrls.length === 0 || remotes >= limits.remotesMax ? "unknown" : undefined;
  }

  /**
   * One of which this member has not heard is served all the same, at the URLs that it names: it may lead a cluster that
   * has changed while this member was away, and only from it can the change be learned (etcd's "remotes").
   */
  #admit(hello: Hello, channel: FrameChannel): void {
    if (this.#closed !== undefined) {
      channel.destroy(new PeerError("EPEERCLOSED", "The member is closing"));
      return;
    }
    const { from, kind } = hello;
    if (kind === "call") {
      this.#calls.serve(channel);
      return;
    }
    const peer = this.#peers.get(from) ?? this.#add(from, hello.peerUrls, { isRemote: true });
    const served = peer.serve(kind, channel).finally(() => {
      this.#leaving.delete(served);
      if (peer.isRemote && !peer.isHeard && this.#peers.get(from) === peer) this.#drop(from, peer);
    });
    this.#leaving.add(served);
  }
}

const refuseCall: CallHandler = ({ method }) =>
  Promise.reject(new PeerError("EPEERREFUSED", `Cannot answer call "${method}": this member answers none`));
