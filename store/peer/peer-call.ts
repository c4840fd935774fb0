import { CodedError } from "../../base/errors.ts";
import { type Later, systemLater } from "../../base/later.ts";
import { withDeadline } from "./deadline.ts";
import { FieldReader } from "./field-reader.ts";
import { encodeFrame, FRAME_TYPE, type Frame } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { openChannel } from "./open-channel.ts";
import { PEER_LIMITS } from "./peer-limits.ts";

/** What one member asks another, beside the log: one question and one answer on a connection of their own. */
export interface PeerCall {
  readonly method: string;
  /** With the method no more than HANDSHAKE_BYTES_MAX: who is asked takes no longer frame from one that it does not know. */
  readonly body: Uint8Array;
}

/** Longest answer that is taken, in bytes. */
const ANSWER_BYTES_MAX = 1024 * 1024;
const DONE = 0;
const REFUSED = 1;

export interface PeerCallOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly later?: Later;
}

/**
 * Asks the member that listens at a URL, whichever it is, and resolves with its answer. Rejects with a PeerError, with the
 * signal's reason, or with a CodedError whose code and words are the member's.
 */
export async function callPeer(url: string, call: PeerCall, options: PeerCallOptions): Promise<Buffer> {
  const { timeoutMs: ms } = options;
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
      channel: { later: later ?? systemLater, receiveBytesPerTurn: PEER_LIMITS.receiveBytesPerTurn },
      meter: { sentBytes: 0, receivedBytes: 0 },
      signal,
    },
  );
  channel.open({ payloadBytesMax: ANSWER_BYTES_MAX, meter: { sentBytes: 0, receivedBytes: 0 } });
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

export function writeAnswer(channel: FrameChannel, answer: Uint8Array | CodedError): void {
  const frame = encodeFrame(FRAME_TYPE.callAnswer, (target) => {
    if (answer instanceof Uint8Array) {
      target.uint8(DONE);
      target.bytes(answer);
      return;
    }
    target.uint8(REFUSED);
    target.string(answer.code);
    target.string(answer.message);
  });
  channel.write(frame);
}

function decodeAnswer(frame: Frame): Buffer {
  const source = new FieldReader(frame.body, "a peer's answer to a call");
  if (frame.type !== FRAME_TYPE.callAnswer) throw source.malformed(`a frame of type ${frame.type} came`);
  const outcome = source.uint8();
  if (outcome === DONE) return source.bytes(source.remaining);
  if (outcome !== REFUSED) throw source.malformed(`no outcome has the code ${outcome}`);
  throw new CodedError(source.string(), source.string());
}
