import { backoffMs } from "../../base/backoff.ts";
import { sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { idText } from "../raft/id-text.ts";
import type { Message } from "../raft/message.ts";
import { dialPeer } from "./dial-peer.ts";
import { PeerRefusal, type Refusal } from "./handshake.ts";
import { LogLimits } from "./log-limits.ts";
import { MessageLink } from "./message-link.ts";
import type { PeerContext } from "./peer-context.ts";
import type { PeerCounters } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";

/** How an attempt to talk with the peer ended. */
interface Attempt {
  readonly url: string;
  /** How long the connection stood; undefined: there was none. */
  readonly stoodMs: number | undefined;
  readonly error: unknown;
}

/** The way to one peer, for messages: a connection that this member dials, and dials again whenever it is lost. */
export class PeerConnection {
  readonly #id: bigint;
  readonly #context: PeerContext;
  readonly #counters: PeerCounters;
  readonly #stopping = new AbortController();
  readonly #logLimits: LogLimits;
  #urls: readonly string[];
  #urlTurn = 0;
  #link: MessageLink | undefined;
  /** The member knows that the peer is unreachable. */
  #isTold = false;
  #resting = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    peer: { readonly id: bigint; readonly peerUrls: readonly string[] },
    context: PeerContext,
    counters: PeerCounters,
  ) {
    this.#id = peer.id;
    this.#urls = peer.peerUrls;
    this.#context = context;
    this.#counters = counters;
    const { clock, limits } = context;
    this.#logLimits = new LogLimits({ clock, intervalMs: limits.troubleLogMs });
  }

  /** Begins to dial. Idempotent. */
  start(): void {
    this.#running ??= this.#run();
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  get isActive(): boolean {
    return this.#link?.isActive ?? false;
  }

  /** Bytes that wait to be sent. */
  get waitingBytes(): number {
    return this.#link?.outbox.bytes ?? 0;
  }

  /** Takes a message, or drops it. Never waits. */
  send(message: Message): void {
    const outcome = this.#link?.isActive ? this.#link.outbox.offer(message) : undefined;
    if (outcome === "taken") return;
    this.#counters.droppedMessages += 1;
    if (outcome === "tooLarge")
      this.#log("error", "a message is larger than a peer takes", { kind: message.kind });
    this.#tell();
  }

  /** The peer's addresses from now on; when they are others than before, it is dialled anew. */
  setUrls(urls: readonly string[]): void {
    if (urls.length === this.#urls.length && urls.every((url, index) => url === this.#urls[index])) return;
    this.#urls = urls;
    this.#urlTurn = 0;
    this.#link?.channel.destroy(new PeerError("EPEERCLOSED", "The peer's URLs have changed"));
    this.wake();
  }

  /** The peer has shown that it lives: the next attempt is made now. */
  wake(): void {
    this.#resting.abort();
  }

  /** Sends what is buffered, for as long as the limit lets it, and closes. Idempotent. */
  async close(): Promise<void> {
    const link = this.#link;
    this.#stopping.abort();
    this.wake();
    const timer = setTimeout(
      () => link?.channel.destroy(new PeerError("EPEERCLOSED", "Connection was closed here")),
      this.#context.limits.closeMs,
    );
    await link?.outbox.flushed();
    link?.channel.end();
    await this.#running;
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    const { limits, random } = this.#context;
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      const attempt = await this.#attempt(signal);
      if (signal.aborted) return;
      const isSteady = attempt.stoodMs !== undefined && attempt.stoodMs >= limits.steadyMs;
      if (isSteady) this.#logLimits.reset();
      this.#judge(attempt);
      this.#tell();
      failures = isSteady ? 0 : failures + 1;
      await this.#rest(backoffMs(failures, limits.backoff, random));
    }
  }

  /** One connection, from its dialling to its end. */
  async #attempt(signal: AbortSignal): Promise<Attempt> {
    const { clock } = this.#context;
    const url = this.#urls[this.#urlTurn % this.#urls.length] ?? "";
    try {
      const peer = { id: this.#id, url, kind: "messages" } as const;
      const channel = await dialPeer(this.#context, peer, { meter: this.#counters, signal });
      const startedMs = clock.monotonicMs();
      const error = await this.#serve(channel, url);
      return { url, stoodMs: clock.monotonicMs() - startedMs, error };
    } catch (error) {
      this.#urlTurn += 1;
      return { url, stoodMs: undefined, error };
    }
  }

  async #serve(channel: MessageLink["channel"], url: string): Promise<Error> {
    const onRoom = () => {
      this.#isTold = false;
    };
    const link = new MessageLink(channel, { context: this.#context, counters: this.#counters, onRoom });
    this.#link = link;
    this.#isTold = false;
    this.#log("info", "established connection with peer", { url });
    // What changed while it was dialled.
    if (!this.#urls.includes(url))
      channel.destroy(new PeerError("EPEERCLOSED", "The peer's URLs have changed"));
    if (this.#stopping.signal.aborted) channel.end();
    const reason = await link.ended;
    this.#link = undefined;
    return reason;
  }

  #judge({ url, stoodMs, error }: Attempt): void {
    const fields = { url, reason: errorMessage(error) };
    if (error instanceof PeerRefusal) {
      this.#log("warn", REFUSED[error.reason], fields);
      if (error.reason === "removed") this.#context.onRemoved();
    } else {
      this.#log(
        "warn",
        stoodMs === undefined ? "cannot reach peer, trying again" : "lost connection with peer",
        fields,
      );
    }
  }

  #log(level: "info" | "warn" | "error", message: string, fields: object): void {
    const suppressed = this.#logLimits.admit(message);
    if (suppressed === undefined) return;
    this.#context.logger[level]({ peer: idText(this.#id), ...fields, suppressed }, message);
  }

  /** In a later turn: the member that sends is in the middle of its work. */
  #tell(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const { later, handler } = this.#context;
    later(() => {
      if (!this.#stopping.signal.aborted) handler.unreachable(this.#id);
    });
  }

  async #rest(ms: number): Promise<void> {
    const resting = new AbortController();
    this.#resting = resting;
    await sleepUnlessAborted(this.#context.clock, ms, resting);
  }
}

const REFUSED: Readonly<Record<Refusal, string>> = {
  cluster: "request sent was ignored by remote peer due to cluster ID mismatch",
  version: "request sent was ignored by remote peer due to server version incompatibility",
  removed: "request sent was ignored by remote peer because this member was removed",
  unknown: "remote peer failed to find this member",
  target: "another member listens at the peer's URL",
  busy: "remote peer is busy",
  malformed: "remote peer did not understand this member",
};
