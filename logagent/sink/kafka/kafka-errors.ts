import { errorCode, errorMessage } from "../../../base/errors.ts";
import type { TlsFileProblem } from "../../../base/tls-files.ts";
import { DeliveryError, type DeliveryRemedy } from "../destination.ts";

interface Known {
  readonly name: string;
  readonly remedy: DeliveryRemedy;
  /** Leaders, or the topic itself, may have changed. */
  readonly isTopicStale?: boolean;
  /** What it means, where the name does not say it. */
  readonly meaning?: string;
}

/** The broker does not have it. */
export const UNKNOWN_TOPIC_OR_PARTITION = 3;
/** A partition has no leader yet, or is electing one. */
export const LEADER_NOT_AVAILABLE = 5;
/** Somebody else has created it: success. */
export const TOPIC_ALREADY_EXISTS = 36;
/** The broker has the batch, from an attempt whose answer was lost: success. */
export const DUPLICATE_SEQUENCE_NUMBER = 46;

/** Error codes of the Kafka protocol that a producer meets. Any other waits for a person. */
const KNOWN = new Map<number, Known>([
  [-1, { name: "UNKNOWN_SERVER_ERROR", remedy: "soon" }],
  [2, { name: "CORRUPT_MESSAGE", remedy: "soon", meaning: "a checksum did not match on arrival" }],
  [UNKNOWN_TOPIC_OR_PARTITION, { name: "UNKNOWN_TOPIC_OR_PARTITION", remedy: "soon", isTopicStale: true }],
  [LEADER_NOT_AVAILABLE, { name: "LEADER_NOT_AVAILABLE", remedy: "soon", isTopicStale: true }],
  [6, { name: "NOT_LEADER_OR_FOLLOWER", remedy: "soon", isTopicStale: true }],
  [7, { name: "REQUEST_TIMED_OUT", remedy: "soon", meaning: "the replicas did not confirm in time" }],
  [8, { name: "BROKER_NOT_AVAILABLE", remedy: "soon", isTopicStale: true }],
  [10, { name: "MESSAGE_TOO_LARGE", remedy: "too-large", meaning: "max.message.bytes of the topic" }],
  [13, { name: "NETWORK_EXCEPTION", remedy: "soon", isTopicStale: true }],
  [14, { name: "COORDINATOR_LOAD_IN_PROGRESS", remedy: "soon" }],
  [15, { name: "COORDINATOR_NOT_AVAILABLE", remedy: "soon" }],
  [16, { name: "NOT_COORDINATOR", remedy: "soon" }],
  [17, { name: "INVALID_TOPIC_EXCEPTION", remedy: "slow", meaning: "not a name that a topic may have" }],
  [18, { name: "RECORD_LIST_TOO_LARGE", remedy: "too-large", meaning: "segment.bytes of the topic" }],
  [
    19,
    { name: "NOT_ENOUGH_REPLICAS", remedy: "soon", meaning: "fewer than min.insync.replicas are in sync" },
  ],
  [20, { name: "NOT_ENOUGH_REPLICAS_AFTER_APPEND", remedy: "soon" }],
  [29, { name: "TOPIC_AUTHORIZATION_FAILED", remedy: "slow", meaning: "this agent may not write to it" }],
  [31, { name: "CLUSTER_AUTHORIZATION_FAILED", remedy: "slow", meaning: "this agent may not do that" }],
  [32, { name: "INVALID_TIMESTAMP", remedy: "slow", meaning: "is the clock of this machine right?" }],
  [35, { name: "UNSUPPORTED_VERSION", remedy: "slow", meaning: "Kafka 2.8 or newer is needed" }],
  [37, { name: "INVALID_PARTITIONS", remedy: "slow" }],
  [38, { name: "INVALID_REPLICATION_FACTOR", remedy: "slow" }],
  [41, { name: "NOT_CONTROLLER", remedy: "soon", isTopicStale: true }],
  [44, { name: "POLICY_VIOLATION", remedy: "slow" }],
  [
    45,
    {
      name: "OUT_OF_ORDER_SEQUENCE_NUMBER",
      remedy: "next-epoch",
      isTopicStale: true,
      meaning: "the broker lacks what it had confirmed, or knows another order",
    },
  ],
  [47, { name: "INVALID_PRODUCER_EPOCH", remedy: "new-producer" }],
  [49, { name: "INVALID_PRODUCER_ID_MAPPING", remedy: "new-producer" }],
  [51, { name: "CONCURRENT_TRANSACTIONS", remedy: "soon" }],
  [56, { name: "KAFKA_STORAGE_ERROR", remedy: "soon", isTopicStale: true }],
  [
    59,
    {
      name: "UNKNOWN_PRODUCER_ID",
      remedy: "next-epoch",
      isTopicStale: true,
      meaning: "the broker has forgotten this producer",
    },
  ],
  [72, { name: "LISTENER_NOT_FOUND", remedy: "soon", isTopicStale: true }],
  [74, { name: "FENCED_LEADER_EPOCH", remedy: "soon", isTopicStale: true }],
  [75, { name: "UNKNOWN_LEADER_EPOCH", remedy: "soon", isTopicStale: true }],
  [76, { name: "UNSUPPORTED_COMPRESSION_TYPE", remedy: "slow" }],
  [
    87,
    { name: "INVALID_RECORD", remedy: "slow", meaning: "a compacted topic takes no record without a key" },
  ],
  [89, { name: "THROTTLING_QUOTA_EXCEEDED", remedy: "soon" }],
  [90, { name: "PRODUCER_FENCED", remedy: "new-producer" }],
]);

/** What Kafka calls it. */
export function codeName(code: number): string {
  return KNOWN.get(code)?.name ?? `KAFKA_ERROR_${code}`;
}

/** `code` of a response as an error; the message starts with `what` failed. */
export function protocolError(code: number, what: string, detail?: string | null): DeliveryError {
  const known = KNOWN.get(code);
  const name = codeName(code);
  const why = detail || known?.meaning;
  return new DeliveryError(name, `${what}: ${name}${why === undefined ? "" : ` (${why})`}`, {
    remedy: known?.remedy ?? "slow",
    isTopicStale: known?.isTopicStale ?? false,
  });
}

/**
 * What a certificate, ours or the broker's, is refused for, which a person must mend: codes of Node's TLS (X.509 certificate
 * error codes) and of OpenSSL for the alerts of the other side.
 */
const CERTIFICATE_PROBLEMS: ReadonlySet<string> = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
  "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED",
  "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
  "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
  "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Why a broker could not be reached, or did not answer. */
export function connectionError(what: string, cause: unknown): DeliveryError {
  const root = rootCause(cause);
  const code = codeOf(root);
  const texts = [errorMessage(cause), errorMessage(root)];
  const isLogin = errorCode(root) === "PLT_KFK_AUTHENTICATION" || texts.some((text) => text.includes("SASL"));
  return new DeliveryError(isLogin ? "SASL_AUTHENTICATION_FAILED" : code, `${what}: ${errorMessage(root)}`, {
    remedy: isLogin || CERTIFICATE_PROBLEMS.has(code) ? "slow" : "soon",
    isTopicStale: true,
    cause,
  });
}

/** One of the PEM files of the options cannot be read: DeliveryError "ETLSFILE", which names option and file. */
export function tlsFileError({ name, path, cause }: TlsFileProblem): DeliveryError {
  const message = `Cannot read sink.tls.${name} ${path}: ${errorMessage(cause)}`;
  return new DeliveryError("ETLSFILE", message, { remedy: "slow", cause });
}

/** An errno or the name of a Kafka error, also where the connection library has a code of its own. */
function codeOf(root: unknown): string {
  const code = errorCode(root) ?? "NETWORK_EXCEPTION";
  if (!code.startsWith("PLT_KFK_")) return code;
  if (root instanceof Error && "apiId" in root && typeof root.apiId === "string") return root.apiId;
  // Its timeouts carry the code of a broken connection; only their text tells.
  if (errorMessage(root).includes("timed out")) return "ETIMEDOUT";
  return code === "PLT_KFK_NETWORK" ? "NETWORK_EXCEPTION" : "EPROTO";
}

/** What an error of the connection library is about in the end. */
function rootCause(error: unknown): unknown {
  let root = error;
  for (;;) {
    if (root instanceof AggregateError && root.errors.length > 0) root = root.errors[0];
    else if (root instanceof Error && root.cause !== undefined) root = root.cause;
    else return root;
  }
}
