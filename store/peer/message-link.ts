import { encodeFrame, FRAME_TYPE, type Frame } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { Outbox } from "./outbox.ts";
import type { PeerContext } from "./peer-context.ts";
import type { PeerCounters } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import { SilenceWatch } from "./silence-watch.ts";

const PING = encodeFrame(FRAME_TYPE.ping);

/**
 * One standing connection to a peer, on which messages leave. Nothing but answers to pings comes back on it; when those
 * stay out it is closed.
 */
export class MessageLink {
  readonly outbox: Outbox;
  readonly channel: FrameChannel;
  /** Resolves with the reason when the connection is gone. */
  readonly ended: Promise<Error>;
  readonly #context: PeerContext;
  readonly #counters: PeerCounters;
  #pingedAtMs: number | undefined;

  /** `onRoom`: see {@link Outbox}. */
  constructor(
    channel: FrameChannel,
    options: {
      readonly context: PeerContext;
      readonly counters: PeerCounters;
      readonly onRoom: () => void;
    },
  ) {
    const { context, counters } = options;
    const { limits, later } = context;
    this.channel = channel;
    this.#context = context;
    this.#counters = counters;
    this.outbox = new Outbox(channel, { limits, later, counters, onRoom: options.onRoom });
    const watch = new SilenceWatch(() => channel.readings, {
      intervalMs: limits.pingIntervalMs,
      silentLooksMax: limits.silentLooksMax,
      onLook: () => this.#ping(),
      onSilent: () => channel.destroy(this.#silence()),
    });
    counters.activeConnections += 1;
    this.ended = channel.closed.then((reason) => {
      watch.stop();
      counters.activeConnections -= 1;
      counters.disconnects += 1;
      return reason;
    });
    channel.consume((frame) => this.#receive(frame));
    this.#ping();
  }

  get isActive(): boolean {
    return this.channel.failure === undefined;
  }

  #ping(): void {
    if (this.#pingedAtMs !== undefined) return;
    this.#pingedAtMs = this.#context.clock.monotonicMs();
    this.channel.write(PING);
  }

  #receive(frame: Frame): void {
    if (frame.type !== FRAME_TYPE.pong) {
      throw new PeerError(
        "EPEERFRAME",
        `Cannot use frame of type ${frame.type}: expected an answer to a ping`,
      );
    }
    if (this.#pingedAtMs !== undefined) {
      this.#counters.roundTripMs = this.#context.clock.monotonicMs() - this.#pingedAtMs;
    }
    this.#pingedAtMs = undefined;
  }

  #silence(): PeerError {
    const { pingIntervalMs, silentLooksMax } = this.#context.limits;
    return new PeerError(
      "EPEERTIMEOUT",
      `Connection with ${this.channel.remote} was silent for ${pingIntervalMs * silentLooksMax} ms`,
    );
  }
}
