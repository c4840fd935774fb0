import { CodedError } from "../../base/errors.ts";
import { type Later, systemLater } from "../../base/later.ts";
import { withDeadline } from "./deadline.ts";
import { FieldReader } from "./field-reader.ts";
import { encodeFrame, FRAME_PAYLOAD_BYTES_MAX, FRAME_TYPE, FRAME_TYPE_BYTES, type Frame } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { HANDSHAKE_BYTES_MAX } from "./handshake.ts";
import { openChannel } from "./open-channel.ts";
import { PeerError } from "./peer-error.ts";
import { PEER_LIMITS } from "./peer-limits.ts";

/** What one member asks another, beside the log: one question and one answer on a connection of their own. */
export interface PeerCall {
  readonly method: string;
  /** With the method no more than {@link QUESTION_BYTES_MAX}. */
  readonly body: Uint8Array;
}

const DONE = 0;
const REFUSED = 1;
/** Type of the frame, length of the method. */
const QUESTION_START_BYTES = FRAME_TYPE_BYTES + 2;
/** Type of the frame, outcome. */
const ANSWER_START_BYTES = FRAME_TYPE_BYTES + 1;
/** Method and argument, in bytes: who is asked takes no longer frame from one that it does not know. */
export const QUESTION_BYTES_MAX = HANDSHAKE_BYTES_MAX - QUESTION_START_BYTES;
/** Longest answer, in bytes. */
export const ANSWER_BYTES_MAX = FRAME_PAYLOAD_BYTES_MAX - ANSWER_START_BYTES;
/** Of a refusal's code and words, in characters. */
const REFUSAL_LENGTH_MAX = 10_000;

export interface PeerCallOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly later?: Later;
}

/**
 * Asks the member that listens at a URL, whichever it is, and resolves with its answer. Rejects with a PeerError
 * (EPEERTOOLARGE: the question), with the signal's reason, or with a CodedError whose code and words are the member's
 * (EPEERTOOLARGE: its answer).
 */
export async function callPeer(url: string, call: PeerCall, options: PeerCallOptions): Promise<Buffer> {
  const { timeoutMs: ms } = options;
  const questionBytes = Buffer.byteLength(call.method) + call.body.byteLength;
  if (questionBytes > QUESTION_BYTES_MAX) {
    throw new PeerError(
      "EPEERTOOLARGE",
      `Cannot ask ${url}: the question has ${questionBytes} bytes, expected at most ${QUESTION_BYTES_MAX}`,
    );
  }
  const lateText = `Cannot ask ${url}: no answer within ${ms} ms`;
  return withDeadline((signal) => ask(url, call, { ...options, signal }), { ...options, ms, lateText });
}

async function ask(url: string, call: PeerCall, { signal, later }: PeerCallOptions): Promise<Buffer> {
  const channel = await openChannel(
    url,
    // It asks before it knows whom it talks with, or what its own id is.
    { kind: "call", clusterId: 0n, from: 0n, to: 0n, peerUrls: [] },
    {
      limits: PEER_LIMITS,
      later: later ?? systemLater,
      meter: { sentBytes: 0, receivedBytes: 0 },
      signal,
    },
  );
  const release = channel.destroyOn(signal);
  try {
    channel.write(encodeCall(call));
    return decodeAnswer(await channel.read());
  } finally {
    release();
    channel.end();
  }
}

function encodeCall({ method, body }: PeerCall): Buffer {
  return encodeFrame(FRAME_TYPE.call, (target) => {
    target.string(method);
    target.bytes(body);
  });
}

/** Throws PeerError EPEERMESSAGE. */
export function decodeCall(frame: Frame): PeerCall {
  const source = new FieldReader(frame.body, "a peer's call");
  if (frame.type !== FRAME_TYPE.call) throw source.malformed(`a frame of type ${frame.type} came`);
  return { method: source.string(), body: source.bytes(source.remaining) };
}

/** What is longer than {@link ANSWER_BYTES_MAX} is said to be so, instead. */
export function writeAnswer(channel: FrameChannel, whole: Uint8Array | CodedError): void {
  const answer = whole instanceof CodedError ? whole : answerOrRefusal(whole);
  const frame = encodeFrame(FRAME_TYPE.callAnswer, (target) => {
    if (answer instanceof Uint8Array) {
      target.uint8(DONE);
      target.bytes(answer);
      return;
    }
    target.uint8(REFUSED);
    target.string(answer.code.slice(0, REFUSAL_LENGTH_MAX));
    target.string(answer.message.slice(0, REFUSAL_LENGTH_MAX));
  });
  channel.write(frame);
}

function answerOrRefusal(answer: Uint8Array): Uint8Array | CodedError {
  if (answer.byteLength <= ANSWER_BYTES_MAX) return answer;
  return new PeerError(
    "EPEERTOOLARGE",
    `Cannot answer call: the answer has ${answer.byteLength} bytes, expected at most ${ANSWER_BYTES_MAX}`,
  );
}

function decodeAnswer(frame: Frame): Buffer {
  const source = new FieldReader(frame.body, "a peer's answer to a call");
  if (frame.type !== FRAME_TYPE.callAnswer) throw source.malformed(`a frame of type ${frame.type} came`);
  const outcome = source.uint8();
  if (outcome === DONE) return source.bytes(source.remaining);
  if (outcome !== REFUSED) throw source.malformed(`no outcome has the code ${outcome}`);
  throw new CodedError(source.string(), source.string());
}
