import { idText } from "../raft/id-text.ts";
import { FieldReader } from "./field-reader.ts";
import type { FieldWriter } from "./field-writer.ts";
import { encodeFrame, FRAME_TYPE, type Frame } from "./frame.ts";
import { PeerError } from "./peer-error.ts";

/** The newest version of what members say to each other, and the only one so far. */
export const PEER_VERSION = 1;
/** The longest hello or answer, in bytes. */
export const HANDSHAKE_BYTES_MAX = 16 * 1024;
const PEER_URLS_MAX = 32;
const MAGIC = Buffer.from("logspeer", "latin1");

/**
 * What a connection carries. "call": one question, that anybody may ask who speaks this protocol: a member that joins
 * does so before it knows the cluster's id, or its own; the ids of its hello are 0.
 */
export type ConnectionKind = "messages" | "snapshot" | "call";
const KINDS: readonly ConnectionKind[] = ["messages", "snapshot", "call"];

/** What a dialler says first. */
export interface Hello {
  readonly kind: ConnectionKind;
  readonly clusterId: bigint;
  readonly from: bigint;
  /** Whom it wants to talk with. */
  readonly to: bigint;
  /** Where `from` listens, for a member that has not heard of it yet. */
  readonly peerUrls: readonly string[];
}

/** Why a member does not talk with one that dialled it. Codes on the wire are the places in this list. */
const REFUSALS = ["malformed", "version", "cluster", "removed", "unknown", "target", "busy"] as const;
export type Refusal = (typeof REFUSALS)[number];

/** What a listener answers. */
export interface Answer {
  readonly refusal: Refusal | undefined;
  /** The listener's own. */
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly version: number;
}

export function encodeHello(hello: Hello): Buffer {
  return encodeFrame(FRAME_TYPE.hello, (target) => {
    writeStart(target);
    target.uint8(KINDS.indexOf(hello.kind));
    target.uint64(hello.clusterId);
    target.uint64(hello.from);
    target.uint64(hello.to);
    const peerUrls = hello.peerUrls.slice(0, PEER_URLS_MAX);
    target.uint8(peerUrls.length);
    for (const url of peerUrls) target.string(url);
  });
}

/** Throws PeerError: EPEERVERSION for a version that is newer than ours, else EPEERMESSAGE. */
export function decodeHello(frame: Frame): Hello {
  const source = startOf(frame, FRAME_TYPE.hello, "a peer's hello");
  const version = source.uint16();
  if (version > PEER_VERSION) {
    throw new PeerError(
      "EPEERVERSION",
      `Cannot talk with peer: format version ${version}, expected ${PEER_VERSION} or less`,
    );
  }
  const kindCode = source.uint8();
  const kind = KINDS[kindCode];
  if (kind === undefined) throw source.malformed(`no kind of connection has the code ${kindCode}`);
  const hello = { kind, clusterId: source.uint64(), from: source.uint64(), to: source.uint64() };
  const count = source.uint8();
  if (count > PEER_URLS_MAX) {
    throw source.malformed(`expected at most ${PEER_URLS_MAX} peer URLs, not ${count}`);
  }
  const peerUrls = Array.from({ length: count }, () => source.string());
  source.end();
  return { ...hello, peerUrls };
}

export function encodeAnswer(answer: Omit<Answer, "version">): Buffer {
  return encodeFrame(FRAME_TYPE.answer, (target) => {
    writeStart(target);
    target.uint8(answer.refusal === undefined ? 0 : 1 + REFUSALS.indexOf(answer.refusal));
    target.uint64(answer.clusterId);
    target.uint64(answer.memberId);
  });
}

/** Throws PeerError EPEERMESSAGE. What a newer version has behind the fields that we know is left alone. */
export function decodeAnswer(frame: Frame): Answer {
  const source = startOf(frame, FRAME_TYPE.answer, "a peer's answer");
  const version = source.uint16();
  const code = source.uint8();
  const refusal = code === 0 ? undefined : REFUSALS[code - 1];
  if (code !== 0 && refusal === undefined) throw source.malformed(`expected a refusal's code, not ${code}`);
  const answer = { refusal, clusterId: source.uint64(), memberId: source.uint64(), version };
  if (version <= PEER_VERSION) source.end();
  return answer;
}

/** What the dialler makes of a refusal: etcd's words where it has them. `reason` is the refusal itself. */
export class PeerRefusal extends PeerError {
  readonly reason: Refusal;

  constructor(reason: Refusal, answer: Answer, hello: Hello) {
    super("EPEERREFUSED", refusalText(reason, answer, hello));
    this.reason = reason;
  }
}

function refusalText(reason: Refusal, answer: Answer, hello: Hello): string {
  const peer = idText(hello.to);
  switch (reason) {
    case "malformed":
      return `request sent was ignored by peer ${peer}: it cannot read the handshake`;
    case "version":
      return (
        `request sent was ignored by peer ${peer}: ` +
        `format version ${PEER_VERSION}, expected ${answer.version} or less`
      );
    case "cluster":
      return (
        `request sent was ignored (cluster ID mismatch: ` +
        `peer[${peer}]=${idText(answer.clusterId)}, local=${idText(hello.clusterId)})`
      );
    case "removed":
      return "the member has been permanently removed from the cluster";
    case "unknown":
      return `peer ${peer} failed to find local node ${idText(hello.from)}`;
    case "target":
      return (
        `request sent was ignored (to field mismatch: ` +
        `expected member ${peer}, member ${idText(answer.memberId)} listens there)`
      );
    case "busy":
      return `peer ${peer} is taking a snapshot from this member already`;
    default:
      return reason satisfies never;
  }
}

function writeStart(target: FieldWriter): void {
  target.bytes(MAGIC);
  target.uint16(PEER_VERSION);
}

function startOf(frame: Frame, type: number, what: string): FieldReader {
  const source = new FieldReader(frame.body, what);
  if (frame.type !== type) throw source.malformed(`expected frame type ${type}, not ${frame.type}`);
  if (!source.bytes(MAGIC.length).equals(MAGIC)) throw source.malformed("its magic is another one");
  return source;
}
