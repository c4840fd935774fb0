import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { DeliveryError } from "./destination.ts";

/** While topics are held up, a line says so this often, with counts. */
export const REMIND_MS = 60_000;
/** Lines about single topics in REMIND_MS; of more, as when the brokers of thousands are away, the reminder gives the number. */
export const TOPIC_LINES_MAX = 20;

interface HeldUp {
  readonly sinceMs: number;
  attempts: number;
  /** Logged already. */
  readonly codes: Set<string>;
}

interface Refusals {
  /** Since the log told of some. */
  lines: number;
  toldAtMs: number;
}

/**
 * What the log says of topics that are held up: that one is, for each reason once; every minute that some still are; and
 * that it is over; and of lines that a topic refuses for good. Never a line for each attempt, or for each line.
 */
export class TroubleLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #topics = new Map<string, HeldUp>();
  readonly #refusals = new Map<string, Refusals>();
  #remindedAtMs = 0;
  #attempts = 0;
  /** In this REMIND_MS. */
  #topicLines = 0;
  #windowEndsMs = 0;

  constructor(options: { readonly logger: Logger; readonly clock: Clock }) {
    this.#logger = options.logger;
    this.#clock = options.clock;
  }

  /** An attempt failed. */
  failed(topic: string, error: DeliveryError): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#topics.size === 0) this.#remindedAtMs = nowMs;
    const heldUp = this.#topics.get(topic) ?? { sinceMs: nowMs, attempts: 0, codes: new Set() };
    this.#topics.set(topic, heldUp);
    heldUp.attempts += 1;
    this.#attempts += 1;
    if (!heldUp.codes.has(error.code) && this.#mayTell(nowMs)) {
      heldUp.codes.add(error.code);
      const fields = { topic, code: error.code, reason: error.message };
      if (error.remedy === "slow") this.#logger.error(fields, "A topic cannot be written to and waits");
      else this.#logger.warn(fields, "Delivery to a topic is held up, trying again");
    }
    if (nowMs - this.#remindedAtMs >= REMIND_MS) this.#remind(topic, error, nowMs);
  }

  /** Delivery to the topic goes on. Does nothing when it was not held up. */
  over(topic: string): void {
    const heldUp = this.#topics.get(topic);
    if (!this.#topics.delete(topic) || heldUp === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    if (!this.#mayTell(nowMs)) return;
    const { attempts, sinceMs } = heldUp;
    this.#logger.info(
      { topic, failedAttempts: attempts, heldUpMs: Math.round(nowMs - sinceMs) },
      "Delivery to a topic goes on",
    );
  }

  /** A line was refused for good: told at once, and those that follow in REMIND_MS with the next one behind it. */
  refused(
    topic: string,
    { error, lineBytes }: { readonly error: DeliveryError; readonly lineBytes: number },
  ): void {
    const nowMs = this.#clock.monotonicMs();
    const refusals = this.#refusals.get(topic) ?? { lines: 0, toldAtMs: Number.NEGATIVE_INFINITY };
    this.#refusals.set(topic, refusals);
    refusals.lines += 1;
    if (nowMs - refusals.toldAtMs < REMIND_MS || !this.#mayTell(nowMs)) return;
    const { code, message: reason } = error;
    this.#logger.error(
      { topic, code, lineBytes, reason, lines: refusals.lines },
      "Lines were refused for good",
    );
    refusals.lines = 0;
    refusals.toldAtMs = nowMs;
  }

  #remind(topic: string, error: DeliveryError, nowMs: number): void {
    let sinceMs = nowMs;
    for (const heldUp of this.#topics.values()) sinceMs = Math.min(sinceMs, heldUp.sinceMs);
    this.#logger.warn(
      {
        topics: this.#topics.size,
        failedAttempts: this.#attempts,
        heldUpMs: Math.round(nowMs - sinceMs),
        latest: { topic, code: error.code, reason: error.message },
      },
      "Delivery is still held up, trying again",
    );
    this.#remindedAtMs = nowMs;
    this.#attempts = 0;
  }

  #mayTell(nowMs: number): boolean {
    if (nowMs >= this.#windowEndsMs) {
      this.#windowEndsMs = nowMs + REMIND_MS;
      this.#topicLines = 0;
    }
    this.#topicLines += 1;
    return this.#topicLines <= TOPIC_LINES_MAX;
  }
}
