import { CodedError, errorMessage } from "../../base/errors.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { decodeCall, type PeerCall, writeAnswer } from "./peer-call.ts";
import type { PeerContext } from "./peer-context.ts";
import { PeerError } from "./peer-error.ts";

/** Answers calls of other members. What it throws as a CodedError goes to the caller, code and words. */
export type CallHandler = (call: PeerCall, options: { readonly signal: AbortSignal }) => Promise<Uint8Array>;

/** Calls that are answered at a time; more are closed at once. */
const CALLS_MAX = 64;
/** From the handshake to the question. */
const QUESTION_MS = 3_000;

/** The connections on which others ask this member. */
export class CallServer {
  readonly #context: Pick<PeerContext, "logger">;
  readonly #handler: CallHandler;
  readonly #channels = new Map<FrameChannel, Promise<void>>();

  constructor(context: Pick<PeerContext, "logger">, handler: CallHandler) {
    this.#context = context;
    this.#handler = handler;
  }

  serve(channel: FrameChannel): void {
    if (this.#channels.size >= CALLS_MAX) {
      channel.destroy(new PeerError("EPEERCLOSED", `${CALLS_MAX} calls are being answered`));
      return;
    }
    this.#channels.set(
      channel,
      this.#answer(channel).finally(() => this.#channels.delete(channel)),
    );
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const reason = new PeerError("EPEERCLOSED", "The member is closing");
    for (const channel of this.#channels.keys()) channel.destroy(reason);
    await Promise.all(this.#channels.values());
  }

  async #answer(channel: FrameChannel): Promise<void> {
    const gone = new AbortController();
    void channel.closed.then((reason) => gone.abort(reason));
    const timer = setTimeout(
      () => channel.destroy(new PeerError("EPEERTIMEOUT", `no call within ${QUESTION_MS} ms`)),
      QUESTION_MS,
    );
    try {
      const call = decodeCall(await channel.read());
      clearTimeout(timer);
      // A handler that does not look at its signal holds nothing up.
      const isGone = channel.closed.then((reason) => Promise.reject(reason));
      writeAnswer(channel, await Promise.race([this.#handler(call, gone), isGone]));
    } catch (error) {
      if (error instanceof CodedError) writeAnswer(channel, error);
      else if (!gone.signal.aborted) this.#logFault(error);
    } finally {
      clearTimeout(timer);
      channel.end();
    }
  }

  #logFault(error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.#context.logger.error({ reason: errorMessage(error), stack }, "call of a peer failed");
  }
}
