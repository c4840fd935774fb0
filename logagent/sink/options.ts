import type { Clock } from "../../base/clock.ts";
import type { CodedError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { AgentConfig } from "../../conf/agent-config.ts";
import type { DeadLetters } from "./dead-letters.ts";

type SinkConfig = AgentConfig["sink"];

/** What a sink is opened with: the section `sink` of the agent's config, and what the agent adds. */
export interface SinkOptions extends Readonly<Omit<SinkConfig, "brokers">> {
  readonly brokers: readonly string[];
  /** Memory for lines that are accepted and not acknowledged, framing of the records included. */
  readonly maxInFlightBytes?: number | undefined;
  /** Where lines are kept that the destination refuses for good; absent: nowhere, the log alone tells of them. */
  readonly deadLetterFolder?: string | undefined;
  /** A Kafka broker that does not answer a request for this long is disconnected. */
  readonly requestTimeoutMs?: number | undefined;
}

/** The ports a sink is given. */
export interface SinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer?: SinkObserver | undefined;
}

/** What the queues of a sink are given besides. */
export interface QueueDeps extends SinkDeps {
  readonly deadLetters?: DeadLetters | undefined;
}

/** Told of what happens, for metrics and for the end of the agent; nobody waits for it. */
export interface SinkObserver {
  /** A failed attempt. `code` is stable and short: a Kafka error name, or an errno such as "ECONNREFUSED". */
  onError(event: { readonly topic: string; readonly code: string }): void;
  /** The destination takes nothing more from this process, ever: its standard output has no reader any more. */
  onGone?(error: CodedError): void;
  /** A request with `batches` record batches, `bytes` long, is being written to a broker. */
  onRequest?(event: { readonly bytes: number; readonly batches: number }): void;
}
