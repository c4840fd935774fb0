import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { PeerTransport, SnapshotContent } from "../peer/transport.ts";
import { idText } from "../raft/id-text.ts";
import type { SnapshotMessage } from "../raft/message.ts";
import type { HardState, SnapshotMeta } from "../raft/types.ts";
import type { Wal } from "../wal/wal.ts";

/** A copy of the state to be sent, and what it holds. */
export interface OutgoingSnapshot {
  readonly meta: SnapshotMeta;
  readonly content: SnapshotContent;
  /** Lets go of the copy. Idempotent. */
  remove(): Promise<void>;
}

/** Where a replica's snapshots are made, kept and installed. */
export interface SnapshotStore {
  /** Copies what is applied. */
  make(options: { readonly signal: AbortSignal }): Promise<OutgoingSnapshot>;
  /** Takes a snapshot durably, to be installed later, or never. */
  receive(meta: SnapshotMeta, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Lets go of a received snapshot that the core has not taken. */
  forget(meta: SnapshotMeta): Promise<void>;
  /**
   * Makes a received snapshot the state, durably. The log begins behind it already: after a crash in between, the opener
   * finds the received file and installs it before anything else.
   */
  install(meta: SnapshotMeta): Promise<void>;
}

/**
 * After a second failure in a row, and doubled with each that follows: a follower whose disk is full would be sent its
 * snapshot again at once, for ever, and each one costs both sides a copy of the state.
 */
const RETRY_MS = 100;
const RETRY_MS_MAX = 5_000;

/**
 * Snapshots between this member and the others: sends them to followers, one at a time each, beside everything else, and
 * tells how it went; takes and installs those of a leader.
 */
export class SnapshotExchange {
  readonly #store: SnapshotStore;
  readonly #wal: Pick<Wal, "reset">;
  readonly #transport: PeerTransport;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onSent: (to: bigint, outcome: "delivered" | "failed") => void;
  readonly #sending = new Map<bigint, Promise<void>>();
  /** Failures in a row. */
  readonly #failures = new Map<bigint, number>();
  readonly #stopping = new AbortController();

  constructor(options: {
    readonly store: SnapshotStore;
    readonly wal: Pick<Wal, "reset">;
    readonly transport: PeerTransport;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly onSent: (to: bigint, outcome: "delivered" | "failed") => void;
  }) {
    this.#store = options.store;
    this.#wal = options.wal;
    this.#transport = options.transport;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onSent = options.onSent;
  }

  /** Begins to send; while one is on its way to this follower, another one fails at once. */
  send(message: SnapshotMessage): void {
    const { to } = message;
    if (this.#sending.has(to)) {
      this.#onSent(to, "failed");
      return;
    }
    const sending = this.#send(message).then(
      () => {
        this.#failures.delete(to);
        this.#onSent(to, "delivered");
      },
      (error: unknown) => this.#fail(to, error),
    );
    this.#sending.set(
      to,
      sending.finally(() => this.#sending.delete(to)),
    );
  }

  /** Takes a snapshot durably, before the core hears of it. */
  receive(meta: SnapshotMeta, body: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#store.receive(meta, body);
  }

  /** For one that the core has not taken. */
  forget(meta: SnapshotMeta): Promise<void> {
    return this.#store.forget(meta);
  }

  /**
   * Makes a snapshot that was received log and state. The log first: one that begins behind its state is an error, unless
   * the received snapshot is there to be installed.
   */
  async install(meta: SnapshotMeta, hardState: HardState): Promise<void> {
    const { index, term } = meta;
    this.#logger.info({ index, term }, "installing a snapshot");
    await this.#wal.reset({ to: { index, term }, hardState });
    await this.#store.install(meta);
    this.#logger.info({ index, term }, "snapshot was installed");
  }

  /** Breaks off what is on its way. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#sending.values());
  }

  /** The core sends the next one as soon as it hears of the failure: it is told when that is due. */
  async #fail(to: bigint, error: unknown): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    this.#logger.warn({ member: idText(to), reason: errorMessage(error) }, "snapshot was not delivered");
    const failures = (this.#failures.get(to) ?? 0) + 1;
    this.#failures.set(to, failures);
    if (failures > 1) {
      const waitMs = Math.min(RETRY_MS * 2 ** (failures - 2), RETRY_MS_MAX);
      await sleepUnlessAborted(this.#clock, waitMs, { signal });
    }
    if (!signal.aborted) this.#onSent(to, "failed");
  }

  async #send(message: SnapshotMessage): Promise<void> {
    const { signal } = this.#stopping;
    const { meta, content, remove } = await this.#store.make({ signal });
    const member = idText(message.to);
    try {
      this.#logger.info({ member, index: meta.index, bytes: content.bytes }, "sending a snapshot");
      // The copy is newer than the core's description of it: time has passed.
      await this.#transport.sendSnapshot({ ...message, snapshot: meta }, content, { signal });
      this.#logger.info({ member, index: meta.index }, "snapshot was delivered");
    } finally {
      await remove();
    }
  }
}
