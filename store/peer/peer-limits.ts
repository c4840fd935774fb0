import type { BackoffLimits } from "../../base/backoff.ts";

/** The bounds of what members give each other and wait for. */
export interface PeerLimits {
  /** From the first try to connect to a URL until the handshake is answered. */
  readonly dialMs: number;
  /** For a connection that came in: until it has said who it is. */
  readonly helloMs: number;
  /** Connections that came in and have not said who they are; above that the oldest makes room. */
  readonly strangersMax: number;
  /** Between two attempts to reach a peer, and after a refusal. */
  readonly backoff: BackoffLimits;
  /** A connection that stood this long was a good one: the back-off begins anew behind it. */
  readonly steadyMs: number;
  /** Between two pings, and between two looks at whether the other side said anything. */
  readonly pingIntervalMs: number;
  /** Looks in a row that found nothing, after which a connection counts as dead (etcd: 5 s). */
  readonly silentLooksMax: number;
  /** Answers to pings that a peer has not read, in bytes; above that it gets no more of them. */
  readonly unreadPongBytesMax: number;
  /** Longest message, in bytes; to be more than the largest request and one append of the core. */
  readonly messageBytesMax: number;
  /** A longer message leaves in parts of up to so many bytes, between which others leave. From 64 bytes to 1 MiB less 32. */
  readonly partBytes: number;
  /**
   * Bytes of one connection that its socket may hold before messages with entries wait; so about the most that a turn
   * encodes, and that a heartbeat waits behind on this side of the network.
   */
  readonly socketBytesMax: number;
  /** Bytes that wait to be sent to one peer; entries that come then are dropped. A single message may be larger. */
  readonly outgoingBytesMax: number;
  /** Messages that wait to be sent to one peer: with entries, and as many without; what comes then is dropped. */
  readonly outgoingMessagesMax: number;
  /** Bytes taken in from one connection before the rest of the process gets a turn. */
  readonly receiveBytesPerTurn: number;
  /** Members that are not in the table yet and may be answered: those of which a member that lags has not heard. */
  readonly remotesMax: number;
  /** A piece of a snapshot in one frame. */
  readonly snapshotChunkBytes: number;
  /** A snapshot of which nothing moves for so long has failed. */
  readonly snapshotStallMs: number;
  /** From a snapshot's last byte until the receiver has taken it. */
  readonly snapshotTakeMs: number;
  /** Between two equal lines of the log about strangers on the port. */
  readonly strangerLogMs: number;
  /** Between two equal lines of the log about one peer that refuses, or cannot be reached. */
  readonly troubleLogMs: number;
  /** How long a connection that is closed here may take to send what is buffered, and the other side to close it too. */
  readonly lingerMs: number;
  /** How long what is buffered may take to leave when the transport closes. */
  readonly closeMs: number;
}

export const PEER_LIMITS: PeerLimits = {
  dialMs: 2_000,
  helloMs: 3_000,
  strangersMax: 64,
  backoff: { baseMs: 50, maxMs: 1_000 },
  steadyMs: 1_000,
  pingIntervalMs: 1_000,
  silentLooksMax: 5,
  unreadPongBytesMax: 64 * 1024,
  messageBytesMax: 64 * 1024 * 1024,
  partBytes: 256 * 1024,
  socketBytesMax: 1024 * 1024,
  outgoingBytesMax: 16 * 1024 * 1024,
  outgoingMessagesMax: 4_096,
  receiveBytesPerTurn: 1024 * 1024,
  remotesMax: 16,
  snapshotChunkBytes: 256 * 1024,
  snapshotStallMs: 30_000,
  snapshotTakeMs: 600_000,
  strangerLogMs: 10_000,
  troubleLogMs: 30_000,
  lingerMs: 1_000,
  closeMs: 500,
};
