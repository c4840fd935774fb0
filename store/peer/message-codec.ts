import { invariant } from "../../base/invariant.ts";
import type { AppendMessage, Message, ProposeMessage } from "../raft/message.ts";
import type { ConfState, Entry, EntryId, EntryKind, SnapshotMeta } from "../raft/types.ts";
import { FieldReader } from "./field-reader.ts";
import type { FieldWriter } from "./field-writer.ts";

/** Ids in one list of a configuration; a cluster has some, never thousands. */
const CONF_STATE_IDS_MAX = 1_024;
/** Entries in one append, of which what the core puts together (`appendBytes`, 1 MiB) has far fewer. */
const ENTRIES_MAX = 16 * 1024 * 1024;
/** Before an entry's data: its kind, their length, its term. */
export const ENTRY_START_BYTES = 13;
/** Before the entries of an append, and the data of a proposal. */
const APPEND_START_BYTES = 53;
const PROPOSAL_START_BYTES = 34;

const ENTRY_KINDS: readonly EntryKind[] = ["normal", "confChange"];

/** The first byte of a message; a code is never given to another kind. */
const CODE = {
  append: 1,
  appendAccepted: 2,
  appendRejected: 3,
  vote: 4,
  preVote: 5,
  voteResponse: 6,
  preVoteResponse: 7,
  heartbeat: 8,
  heartbeatResponse: 9,
  snapshot: 10,
  timeoutNow: 11,
  propose: 12,
  readIndex: 13,
  readIndexResponse: 14,
  transferLeader: 15,
} as const;

/** What has no size of its own; every other message is small. */
export type EntryMessage = AppendMessage | ProposeMessage;

export function carriesEntries(message: Message): message is EntryMessage {
  return message.kind === "append" || message.kind === "propose";
}

/** How long a message is when it is encoded. */
export function encodedBytes(message: EntryMessage): number {
  if (message.kind === "propose") return PROPOSAL_START_BYTES + message.entry.data.byteLength;
  return message.entries.reduce(
    (sum, { data }) => sum + ENTRY_START_BYTES + data.byteLength,
    APPEND_START_BYTES,
  );
}

/** Writes a message; {@link decodeMessage} reads it. Integers are little-endian. */
export function encodeMessage(message: Message, target: FieldWriter): void {
  encodeStart(message, target);
  if (message.kind === "propose") target.bytes(message.entry.data);
  if (message.kind !== "append") return;
  let { index } = message.prev;
  for (const entry of message.entries) {
    index += 1;
    encodeEntryStart(entry, index, target);
    target.bytes(entry.data);
  }
}

/** All of a message but the entries of an append, and the data of a proposal, which come behind it. */
export function encodeStart(message: Message, target: FieldWriter): void {
  target.uint8(codeOf(message));
  target.uint64(message.from);
  target.uint64(message.to);
  target.safeUint64(message.term);
  switch (message.kind) {
    case "append":
      writeId(message.prev, target);
      target.safeUint64(message.commit);
      target.uint32(message.entries.length);
      return;
    case "appendResponse":
      target.safeUint64(message.index);
      if (message.reject) writeId(message.hint, target);
      return;
    case "vote":
    case "preVote":
      writeId(message.last, target);
      target.bool(message.isTransfer);
      return;
    case "voteResponse":
    case "preVoteResponse":
      target.bool(message.reject);
      return;
    case "heartbeat":
      target.safeUint64(message.commit);
      target.safeUint64(message.readPosition);
      return;
    case "heartbeatResponse":
      target.safeUint64(message.readPosition);
      return;
    case "snapshot":
      writeSnapshotMeta(message.snapshot, target);
      return;
    case "timeoutNow":
      return;
    case "propose":
      target.uint64(message.id);
      target.uint8(ENTRY_KINDS.indexOf(message.entry.kind));
      return;
    case "readIndex":
      target.uint64(message.context);
      return;
    case "readIndexResponse":
      target.uint64(message.context);
      target.safeUint64(message.index);
      return;
    case "transferLeader":
      target.uint64(message.transferee);
      return;
    default:
      message satisfies never;
  }
}

/** What is before the data of an append's entry. Its index is that behind the one before it, and is not written. */
export function encodeEntryStart(entry: Entry, index: number, target: FieldWriter): void {
  invariant(entry.index === index, `entry ${entry.index} in an append is the one behind ${index - 1}`);
  target.uint8(ENTRY_KINDS.indexOf(entry.kind));
  target.uint32(entry.data.byteLength);
  target.safeUint64(entry.term);
}

/**
 * The message in `bytes`; the data of its entries are parts of `bytes`, which must not change while the message lives.
 * Throws PeerError EPEERMESSAGE.
 */
export function decodeMessage(bytes: Buffer): Message {
  const source = new FieldReader(bytes, "a peer's message");
  const code = source.uint8();
  const envelope = { from: source.uint64(), to: source.uint64(), term: source.safeUint64() };
  const message = readBody(code, envelope, source);
  source.end();
  return message;
}

type Envelope = Pick<Message, "from" | "to" | "term">;

function codeOf(message: Message): number {
  if (message.kind !== "appendResponse") return CODE[message.kind];
  return message.reject ? CODE.appendRejected : CODE.appendAccepted;
}

function readBody(code: number, envelope: Envelope, source: FieldReader): Message {
  switch (code) {
    case CODE.append:
      return readAppend(envelope, source);
    case CODE.appendAccepted:
      return { kind: "appendResponse", reject: false, ...envelope, index: source.safeUint64() };
    case CODE.appendRejected:
      return {
        kind: "appendResponse",
        reject: true,
        ...envelope,
        index: source.safeUint64(),
        hint: readId(source),
      };
    case CODE.vote:
    case CODE.preVote: {
      const kind = code === CODE.vote ? "vote" : "preVote";
      return { kind, ...envelope, last: readId(source), isTransfer: source.bool() };
    }
    case CODE.voteResponse:
    case CODE.preVoteResponse: {
      const kind = code === CODE.voteResponse ? "voteResponse" : "preVoteResponse";
      return { kind, ...envelope, reject: source.bool() };
    }
    case CODE.heartbeat:
      return {
        kind: "heartbeat",
        ...envelope,
        commit: source.safeUint64(),
        readPosition: source.safeUint64(),
      };
    case CODE.heartbeatResponse:
      return { kind: "heartbeatResponse", ...envelope, readPosition: source.safeUint64() };
    case CODE.snapshot:
      return { kind: "snapshot", ...envelope, snapshot: readSnapshotMeta(source) };
    case CODE.timeoutNow:
      return { kind: "timeoutNow", ...envelope };
    case CODE.propose: {
      const id = source.uint64();
      const kind = readEntryKind(source);
      return { kind: "propose", ...envelope, id, entry: { kind, data: source.bytes(source.remaining) } };
    }
    case CODE.readIndex:
      return { kind: "readIndex", ...envelope, context: source.uint64() };
    case CODE.readIndexResponse:
      return {
        kind: "readIndexResponse",
        ...envelope,
        context: source.uint64(),
        index: source.safeUint64(),
      };
    case CODE.transferLeader:
      return { kind: "transferLeader", ...envelope, transferee: source.uint64() };
    default:
      throw source.malformed(`expected a kind from 1 to ${CODE.transferLeader}, not ${code}`);
  }
}

function readAppend(envelope: Envelope, source: FieldReader): AppendMessage {
  const prev = readId(source);
  const commit = source.safeUint64();
  const count = source.count({ max: ENTRIES_MAX, eachBytes: ENTRY_START_BYTES });
  if (!Number.isSafeInteger(prev.index + count)) {
    throw source.malformed(`${count} entries behind index ${prev.index} are too many`);
  }
  const entries: Entry[] = [];
  for (let index = prev.index + 1; index <= prev.index + count; index += 1) {
    const kind = readEntryKind(source);
    const dataBytes = source.uint32();
    const term = source.safeUint64();
    entries.push({ kind, term, index, data: source.bytes(dataBytes) });
  }
  return { kind: "append", ...envelope, prev, entries, commit };
}

function readEntryKind(source: FieldReader): EntryKind {
  const code = source.uint8();
  const kind = ENTRY_KINDS[code];
  if (kind === undefined) {
    throw source.malformed(`expected an entry kind from 0 to ${ENTRY_KINDS.length - 1}, not ${code}`);
  }
  return kind;
}

function writeId(id: EntryId, target: FieldWriter): void {
  target.safeUint64(id.term);
  target.safeUint64(id.index);
}

function readId(source: FieldReader): EntryId {
  return { term: source.safeUint64(), index: source.safeUint64() };
}

function writeSnapshotMeta(meta: SnapshotMeta, target: FieldWriter): void {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = meta.confState;
  writeId(meta, target);
  for (const ids of [voters, votersOutgoing, learners, learnersNext]) {
    invariant(
      ids.length <= CONF_STATE_IDS_MAX,
      `${ids.length} ids in a configuration are at most ${CONF_STATE_IDS_MAX}`,
    );
    target.uint32(ids.length);
    for (const id of ids) target.uint64(id);
  }
  target.bool(autoLeave);
}

function readSnapshotMeta(source: FieldReader): SnapshotMeta {
  const id = readId(source);
  const confState: ConfState = {
    voters: readIds(source),
    votersOutgoing: readIds(source),
    learners: readIds(source),
    learnersNext: readIds(source),
    autoLeave: source.bool(),
  };
  return { ...id, confState };
}

function readIds(source: FieldReader): readonly bigint[] {
  const count = source.count({ max: CONF_STATE_IDS_MAX, eachBytes: 8 });
  return Array.from({ length: count }, () => source.uint64());
}
