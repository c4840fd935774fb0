import { CodedError } from "../../base/errors.ts";

/**
 * A change of who votes and who listens (etcd raftpb ConfChangeV2). Without changes and with transition "auto": leave the
 * joint configuration.
 */
export interface ConfChange {
  readonly transition: ConfChangeTransition;
  /** Carried out in this order. */
  readonly changes: readonly SingleChange[];
  /** For who applies the change; the core passes it on. */
  readonly context: Uint8Array;
}

/**
 * "auto": one change is made at once, several by a joint configuration that is left by itself. "jointImplicit": joint
 * in any case, and left by itself. "jointExplicit": joint, until a change says to leave it.
 */
export type ConfChangeTransition = "auto" | "jointImplicit" | "jointExplicit";

export interface SingleChange {
  /** "update" changes nothing here: the member's address is the state machine's. */
  readonly kind: SingleChangeKind;
  /** 0n: nothing is to be done. */
  readonly id: bigint;
}

export type SingleChangeKind = "addVoter" | "addLearner" | "remove" | "update";

/** Code of a change that does not fit the configuration, or cannot be read. */
export type ConfChangeErrorCode = "ECONFCHANGE";

/** True when the change says to leave the joint configuration. */
export function leavesJoint({ transition, changes }: ConfChange): boolean {
  return transition === "auto" && changes.length === 0;
}

/** Undefined when the change is made without a joint configuration. */
export function entersJoint({
  transition,
  changes,
}: ConfChange): { readonly autoLeave: boolean } | undefined {
  if (transition === "auto" && changes.length <= 1) return undefined;
  return { autoLeave: transition !== "jointExplicit" };
}

const VERSION = 1;
const TRANSITIONS: readonly ConfChangeTransition[] = ["auto", "jointImplicit", "jointExplicit"];
const KINDS: readonly SingleChangeKind[] = ["addVoter", "addLearner", "remove", "update"];
const HEADER_BYTES = 4;
const CHANGE_BYTES = 9;
const CHANGES_MAX = 0xffff;

/**
 * The change as the data of an entry; no bytes at all for one that only leaves the joint configuration, so that no limit
 * of bytes can keep it out of a log. Little-endian: version u8 = 1, transition u8, number of changes u16, for each its
 * kind u8 and id u64, then the context.
 *
 * @throws {CodedError} ECONFCHANGE: more than 65535 changes
 */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const { transition, changes, context } = change;
  if (leavesJoint(change) && context.length === 0) return new Uint8Array(0);
  if (changes.length > CHANGES_MAX)
    throw refusal(`Cannot encode a configuration change: ${changes.length} changes, at most ${CHANGES_MAX}`);
  const bytes = new Uint8Array(HEADER_BYTES + changes.length * CHANGE_BYTES + context.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, TRANSITIONS.indexOf(transition));
  view.setUint16(2, changes.length, true);
  let at = HEADER_BYTES;
  for (const { kind, id } of changes) {
    view.setUint8(at, KINDS.indexOf(kind));
    view.setBigUint64(at + 1, id, true);
    at += CHANGE_BYTES;
  }
  bytes.set(context, at);
  return bytes;
}

/**
 * The inverse of {@link encodeConfChange}; the context shares the bytes of `data`.
 *
 * @throws {CodedError} ECONFCHANGE: these bytes are no configuration change
 */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.length === 0) return { transition: "auto", changes: [], context: data };
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint8(0) !== VERSION)
    throw refusal(`Cannot read a configuration change: version ${view.getUint8(0)}, expected ${VERSION}`);
  const count = data.length < HEADER_BYTES ? 0 : view.getUint16(2, true);
  const end = HEADER_BYTES + count * CHANGE_BYTES;
  if (data.length < end)
    throw refusal(`Cannot read a configuration change: ${data.length} bytes, expected ${end} or more`);
  const changes = Array.from({ length: count }, (_, i) => {
    const at = HEADER_BYTES + i * CHANGE_BYTES;
    return { kind: named(KINDS, view.getUint8(at), "kind"), id: view.getBigUint64(at + 1, true) };
  });
  return {
    transition: named(TRANSITIONS, view.getUint8(1), "transition"),
    changes,
    context: data.subarray(end),
  };
}

function named<Name extends string>(names: readonly Name[], number: number, what: string): Name {
  const name = names[number];
  if (name === undefined)
    throw refusal(
      `Cannot read a configuration change: ${what} ${number}, expected at most ${names.length - 1}`,
    );
  return name;
}

function refusal(message: string): CodedError<ConfChangeErrorCode> {
  return new CodedError("ECONFCHANGE", message);
}
