import type { Message } from "../../../../store/raft/message.ts";
import type { Entry, Write } from "../../../../store/raft/types.ts";
import type { Member } from "./member.ts";
import {
  APPEND_THREAD,
  APPLY_THREAD,
  isResponse,
  type ReferenceMessage,
  referenceMessage,
  toReference,
} from "./reference-message.ts";

/** Something on its way: how the scripts print it, and what it does where it arrives. */
export interface Parcel {
  readonly shown: ReferenceMessage;
  /** Returns the refusal that the reference prints, if there is one. */
  readonly arrive: (member: Member) => string | undefined;
}

export function parcelOf(message: Message): Parcel {
  return {
    shown: toReference(message),
    arrive: (member) => {
      // The reference says so where it turns the message away, our core turns it away without a word.
      const isStranger = isResponse(message) && !member.knows(message.from);
      member.core.step(message);
      return isStranger ? "raft: cannot step as peer not found" : undefined;
    },
  };
}

/** From a member to itself, or from its disk or state machine: never lost. */
export function isLocal({ shown: { from, to } }: Parcel): boolean {
  return from === to || from === APPEND_THREAD || from === APPLY_THREAD;
}

/** Work for a member's disk or state machine, and what leaves when it is done. */
export interface Work<Job> {
  readonly shown: ReferenceMessage;
  readonly job: Job;
  readonly responses: readonly Parcel[];
}

/** A write as the message in which the reference sends it to the disk, and the messages that wait for it. */
export function appendWork(id: bigint, write: Write, waiting: readonly Message[]): Work<Write> {
  const { hardState, entries, snapshot, upTo } = write;
  const responses = waiting.map(parcelOf);
  if (isReported(write)) {
    const report = referenceMessage(
      { type: "MsgStorageAppendResp", from: APPEND_THREAD, to: id },
      { term: write.term, logTerm: upTo?.term ?? 0, index: upTo?.index ?? 0, snapshot },
    );
    responses.push(local(report, (member) => member.persisted(write)));
  }
  const head = { type: "MsgStorageAppend", from: id, to: APPEND_THREAD };
  return { shown: referenceMessage(head, { ...hardState, entries, snapshot }), job: write, responses };
}

/** The reference hears only of writes by which entries get on the disk, or a snapshot. */
export function isReported({ upTo, snapshot }: Write): boolean {
  return upTo !== undefined || snapshot !== undefined;
}

/** Committed entries as the message in which the reference sends them to the state machine. */
export function applyWork(id: bigint, entries: readonly Entry[]): Work<readonly Entry[]> {
  const report = referenceMessage({ type: "MsgStorageApplyResp", from: APPLY_THREAD, to: id }, { entries });
  return {
    shown: referenceMessage({ type: "MsgStorageApply", from: id, to: APPLY_THREAD }, { entries }),
    job: entries,
    responses: [local(report, (member) => member.core.applied(entries.at(-1)?.index ?? 0))],
  };
}

/** With the responses, as it leaves. */
export function withResponses({ shown, responses }: Work<unknown>): ReferenceMessage {
  return { ...shown, responses: responses.map((response) => response.shown) };
}

function local(shown: ReferenceMessage, arrive: (member: Member) => void): Parcel {
  return {
    shown,
    arrive: (member) => {
      arrive(member);
      return undefined;
    },
  };
}
