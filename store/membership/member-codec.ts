import { CodedError } from "../../base/errors.ts";
import {
  MemberChange_Kind as Kind,
  MemberChange as MemberChangeMessage,
} from "../proto/gen/configuration.ts";
import type { Member as MemberMessage } from "../proto/gen/rpc.ts";
import type { ConfChange, SingleChange } from "../raft/conf-change.ts";
import { type Member, type MemberChange, unstarted } from "./types.ts";

/** A member as rpc.proto writes it. */
export function toMessage({ id, name, peerUrls, clientUrls, isLearner }: Member): MemberMessage {
  return { ID: id, name, peerURLs: [...peerUrls], clientURLs: [...clientUrls], isLearner };
}

export function fromMessage({ ID, name, peerURLs, clientURLs, isLearner }: MemberMessage): Member {
  return { id: ID, name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner };
}

/**
 * The change as the log takes it: what it does to the configuration, and in its context (configuration.proto MemberChange)
 * what it does to the list of members. `requestId` finds the waiting call; 0n: nobody waits.
 */
export function toConfChange(change: MemberChange, requestId: bigint): ConfChange {
  return {
    transition: "auto",
    changes: [singleChange(change)],
    context: encodeContext(change, requestId),
  };
}

/**
 * The change of the list of members that a configuration change carries; undefined when it carries none. Throws
 * CodedError EUNKNOWNENTRY for one of a newer version, or whose two halves differ.
 */
export function fromConfChange({
  changes,
  context,
}: ConfChange): { readonly change: MemberChange; readonly requestId: bigint } | undefined {
  if (context.length === 0) return undefined;
  const message = MemberChangeMessage.decode(context);
  const change = memberChange(message);
  const expected = singleChange(change);
  const [found, ...more] = changes;
  if (found === undefined || more.length > 0 || found.kind !== expected.kind || found.id !== expected.id) {
    throw unknown(
      `its change is ${JSON.stringify(changes, bigintText)}, its member's ${JSON.stringify(expected, bigintText)}`,
    );
  }
  return { change, requestId: message.requestID };
}

function singleChange(change: MemberChange): SingleChange {
  switch (change.kind) {
    case "add":
      return { kind: change.member.isLearner ? "addLearner" : "addVoter", id: change.member.id };
    case "promote":
      return { kind: "addVoter", id: change.id };
    case "remove":
      return { kind: "remove", id: change.id };
    case "update":
      return { kind: "update", id: change.id };
    default:
      return change satisfies never;
  }
}

function encodeContext(change: MemberChange, requestID: bigint): Uint8Array {
  const encode = (kind: Kind, member: Member, maxLearners = 0) =>
    MemberChangeMessage.encode({ requestID, kind, member: toMessage(member), maxLearners }).finish();
  switch (change.kind) {
    case "add":
      return encode(Kind.ADD, change.member, change.learnersMax);
    case "promote":
      return encode(Kind.PROMOTE, unstarted(change.id, []));
    case "remove":
      return encode(Kind.REMOVE, unstarted(change.id, []));
    case "update":
      return encode(Kind.UPDATE, unstarted(change.id, change.peerUrls));
    default:
      return change satisfies never;
  }
}

function memberChange({ kind, member: message, maxLearners }: MemberChangeMessage): MemberChange {
  if (message === undefined) throw unknown("it names no member");
  const member = fromMessage(message);
  switch (kind) {
    case Kind.ADD:
      return { kind: "add", member, learnersMax: maxLearners };
    case Kind.PROMOTE:
      return { kind: "promote", id: member.id };
    case Kind.REMOVE:
      return { kind: "remove", id: member.id };
    case Kind.UPDATE:
      return { kind: "update", id: member.id, peerUrls: member.peerUrls };
    default:
      throw unknown(`kind ${String(kind)}, expected at most ${Kind.UPDATE}`);
  }
}

function unknown(why: string): CodedError {
  return new CodedError("EUNKNOWNENTRY", `Cannot apply a change of the members: ${why}`);
}

function bigintText(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString(16) : value;
}
