/** Bytes that went through connections. */
export interface ByteMeter {
  sentBytes: number;
  receivedBytes: number;
}

/** What has passed between this member and one other since it is known here; each only grows, but for the last two. */
export interface PeerCounters extends ByteMeter {
  sentMessages: number;
  receivedMessages: number;
  /** Not sent: the peer was away or went away, or its buffer was full. */
  droppedMessages: number;
  /** Connections for messages that were lost, in either direction. */
  disconnects: number;
  snapshotsSent: number;
  snapshotSendFailures: number;
  snapshotsReceived: number;
  snapshotReceiveFailures: number;
  /** Connections that stand now, of both directions and kinds. */
  activeConnections: number;
  /** How long the last ping took, in milliseconds; 0: none was answered yet. */
  roundTripMs: number;
}

export function newPeerCounters(): PeerCounters {
  return {
    sentBytes: 0,
    receivedBytes: 0,
    sentMessages: 0,
    receivedMessages: 0,
    droppedMessages: 0,
    disconnects: 0,
    snapshotsSent: 0,
    snapshotSendFailures: 0,
    snapshotsReceived: 0,
    snapshotReceiveFailures: 0,
    activeConnections: 0,
    roundTripMs: 0,
  };
}
