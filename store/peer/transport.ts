import type { Message, SnapshotMessage } from "../raft/message.ts";

/** How a member's messages reach the others. What is lost on the way is the core's to notice and to send again. */
export interface PeerTransport {
  /**
   * Sends each message to its addressee; those with entries to one addressee arrive in order, the others may overtake
   * them. A message to a peer that is away, unknown, or slower than its buffer allows is dropped. Entries must not change
   * from now on. Never waits, never throws.
   */
  send(messages: readonly Message[]): void;
  /**
   * Sends a snapshot on a connection of its own, beside the messages. Resolves when the receiver has taken it durably and
   * has stepped the message; rejects when it has not, and the body is then closed.
   */
  sendSnapshot(
    message: SnapshotMessage,
    content: SnapshotContent,
    options: { readonly signal: AbortSignal },
  ): Promise<void>;
  /** Whom this member talks with from now on, by id; connections to others are closed. */
  setPeers(peers: ReadonlyMap<bigint, Peer>): void;
  /** Connection state for status and metrics; undefined: unknown peer. */
  isActive(id: bigint): boolean;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface Peer {
  /** Where it listens for members, as `http://host:port`; any of them will do. */
  readonly peerUrls: readonly string[];
}

/** A snapshot's content: the backend's file. */
export interface SnapshotContent {
  readonly bytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** What a transport gives to its member. */
export interface PeerHandler {
  /** A message from a peer, addressed to this member. Never throws. */
  receive(message: Message): void;
  /** Takes a snapshot's content durably and steps its message; rejects when it cannot. */
  receiveSnapshot(message: SnapshotMessage, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** A message to this peer could not be delivered; told at most once until it is reachable again. */
  unreachable(id: bigint): void;
}
