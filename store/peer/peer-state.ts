import { idText } from "../raft/id-text.ts";
import type { SnapshotMessage } from "../raft/message.ts";
import type { FrameChannel } from "./frame-channel.ts";
import type { ConnectionKind } from "./handshake.ts";
import { LogLimits } from "./log-limits.ts";
import { receiveMessages } from "./message-receiver.ts";
import { PeerConnection } from "./peer-connection.ts";
import type { PeerContext } from "./peer-context.ts";
import { newPeerCounters, type PeerCounters } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import { receiveSnapshot } from "./snapshot-receiver.ts";
import { sendSnapshot } from "./snapshot-sender.ts";
import type { SnapshotContent } from "./transport.ts";

const LOST = "closed connection from peer";

/** All there is between this member and one other: the connections of either direction. */
export class PeerState {
  readonly id: bigint;
  readonly connection: PeerConnection;
  readonly counters: PeerCounters = newPeerCounters();
  readonly #context: PeerContext;
  readonly #logLimits: LogLimits;
  readonly #leaving = new AbortController();
  /** What came in. A peer has one connection of a kind. */
  readonly #incoming = new Map<ConnectionKind, FrameChannel>();
  readonly #sending = new Set<Promise<void>>();
  #isRemote: boolean;

  constructor(
    peer: { readonly id: bigint; readonly peerUrls: readonly string[]; readonly isRemote: boolean },
    context: PeerContext,
  ) {
    this.id = peer.id;
    this.#isRemote = peer.isRemote;
    this.#context = context;
    const { clock, limits } = context;
    this.#logLimits = new LogLimits({ clock, intervalMs: limits.troubleLogMs });
    this.connection = new PeerConnection(peer, context, this.counters);
    this.connection.start();
  }

  /** It named itself, and is in no table of this member's yet; it is known for as long as it is heard. */
  get isRemote(): boolean {
    return this.#isRemote;
  }

  get isHeard(): boolean {
    return this.#incoming.size > 0;
  }

  get takesSnapshot(): boolean {
    return this.#incoming.has("snapshot");
  }

  /** It is in the table, with these URLs. */
  become(peerUrls: readonly string[]): void {
    this.#isRemote = false;
    this.connection.setUrls(peerUrls);
  }

  /** Takes what comes on a connection until it is gone. */
  async serve(kind: Exclude<ConnectionKind, "call">, channel: FrameChannel): Promise<void> {
    const { counters } = this;
    channel.open(counters);
    // The peer would not dial while its last connection stands.
    this.#incoming.get(kind)?.destroy(new PeerError("EPEERCLOSED", "The peer has made a new connection"));
    this.#incoming.set(kind, channel);
    this.connection.wake();
    const options = { context: this.#context, counters };
    try {
      if (kind === "messages") this.#logLoss(channel, await receiveMessages(channel, this.id, options));
      else await receiveSnapshot(channel, this.id, options);
    } finally {
      if (this.#incoming.get(kind) === channel) this.#incoming.delete(kind);
    }
  }

  /** A connection that was simply closed is no news: this member's own to that peer tells of it. */
  #logLoss({ remote }: FrameChannel, error: Error): void {
    if (error instanceof PeerError && error.code === "EPEERCLOSED") return;
    const suppressed = this.#logLimits.admit(LOST);
    if (suppressed === undefined) return;
    this.#context.logger.warn({ peer: idText(this.id), remote, reason: error.message, suppressed }, LOST);
  }

  /** See {@link sendSnapshot}; ends with the peer too. */
  async sendSnapshot(
    message: SnapshotMessage,
    content: SnapshotContent,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const sending = sendSnapshot(message, content, {
      urls: this.connection.urls,
      context: this.#context,
      counters: this.counters,
      signal: AbortSignal.any([options.signal, this.#leaving.signal]),
    });
    const settled = sending.then(
      () => undefined,
      () => undefined,
    );
    this.#sending.add(settled);
    try {
      await sending;
    } finally {
      this.#sending.delete(settled);
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const reason = new PeerError("EPEERCLOSED", "The peer is no longer talked with");
    this.#leaving.abort(reason);
    for (const channel of this.#incoming.values()) channel.destroy(reason);
    await Promise.all([this.connection.close(), ...this.#sending]);
  }
}
