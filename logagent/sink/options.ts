import type { Clock } from "../../base/clock.ts";
import type { CodedError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { DeadLetters } from "./dead-letters.ts";

/** What a sink is opened with: the section `sink` of the agent's config, and its limit of bytes in flight. */
export interface SinkOptions {
  readonly type: "kafka" | "kafkajs" | "file" | "stdout";
  /** `host:port` of the brokers to start from. */
  readonly brokers: readonly string[];
  readonly compression: "none" | "zstd" | "gzip";
  readonly createTopics: boolean;
  /** Number the batches, so that the brokers of a `kafka` sink drop repeats. Unless false. */
  readonly idempotent?: boolean | undefined;
  /** Folder of the file sink. */
  readonly path: string;
  readonly tls: {
    readonly enabled: boolean;
    /** Paths of PEM files. */
    readonly ca?: string | undefined;
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
  };
  readonly sasl: {
    readonly mechanism: "none" | "plain" | "scram-sha-256" | "scram-sha-512";
    readonly username: string;
    readonly password: string;
  };
  /** Memory for lines that are accepted and not acknowledged, framing of the records included. */
  readonly maxInFlightBytes?: number | undefined;
  /** Where lines are kept that the destination refuses for good; absent: nowhere, the log alone tells of them. */
  readonly deadLetterFolder?: string | undefined;
  /** Limit of one topic's file in it, at which the topic waits. */
  readonly maxDeadLetterBytes?: number | undefined;
  /** A Kafka broker that does not answer a request for this long is disconnected. */
  readonly requestTimeoutMs?: number | undefined;
}

/** The ports a sink is given. */
export interface SinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer?: SinkObserver | undefined;
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

/** Used when the options name no limit. */
export const MAX_IN_FLIGHT_BYTES_DEFAULT = 64 * 1024 * 1024;

/** Likewise, for the dead letters of a topic. */
export const MAX_DEAD_LETTER_BYTES_DEFAULT = 64 * 1024 * 1024;
