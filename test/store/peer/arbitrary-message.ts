import fc from "fast-check";
import type { Message, SnapshotMessage } from "../../../store/raft/message.ts";
import type { EntryId, EntryKind } from "../../../store/raft/types.ts";

/** Plain objects, as the decoder makes them. */
function record<Fields extends object>(model: { [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> }) {
  return fc.record<Fields>(model, { noNullPrototype: true });
}

const number = fc.oneof(fc.nat(), fc.maxSafeNat());
const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const ids = fc.array(id, { maxLength: 9 });
const data = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const entryKind: fc.Arbitrary<EntryKind> = fc.constantFrom("normal", "confChange");
const entryId: fc.Arbitrary<EntryId> = record({ term: number, index: number });
const envelope = { from: id, to: id, term: number };

function of<Kind extends string, Fields extends object>(
  kind: Kind,
  fields: { [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> },
) {
  return fc
    .tuple(record(envelope), record<Fields>(fields))
    .map(([common, own]) => ({ kind, ...common, ...own }));
}

const append = record({
  ...envelope,
  commit: number,
  prev: record({ term: number, index: fc.nat() }),
  parts: fc.array(record({ kind: entryKind, term: number, data }), { maxLength: 20 }),
}).map(({ parts, ...rest }) => ({
  kind: "append" as const,
  ...rest,
  entries: parts.map((part, position) => ({ ...part, index: rest.prev.index + 1 + position })),
}));

const confState = record({
  voters: ids,
  votersOutgoing: ids,
  learners: ids,
  learnersNext: ids,
  autoLeave: fc.boolean(),
});

export const snapshotMessage: fc.Arbitrary<SnapshotMessage> = of("snapshot", {
  snapshot: record({ term: number, index: number, confState }),
});

/** Every kind that there is; the compiler sees to it that a new one is not forgotten. */
const byKind: { readonly [Kind in Message["kind"]]: fc.Arbitrary<Message> } = {
  append,
  appendResponse: fc.oneof(
    of("appendResponse", { reject: fc.constant<false>(false), index: number }),
    of("appendResponse", { reject: fc.constant<true>(true), index: number, hint: entryId }),
  ),
  vote: of("vote", { last: entryId, isTransfer: fc.boolean() }),
  preVote: of("preVote", { last: entryId, isTransfer: fc.boolean() }),
  voteResponse: of("voteResponse", { reject: fc.boolean() }),
  preVoteResponse: of("preVoteResponse", { reject: fc.boolean() }),
  heartbeat: of("heartbeat", { commit: number, readPosition: number }),
  heartbeatResponse: of("heartbeatResponse", { readPosition: number }),
  snapshot: snapshotMessage,
  timeoutNow: record({ kind: fc.constant<"timeoutNow">("timeoutNow"), ...envelope }),
  propose: of("propose", { id, entry: record({ kind: entryKind, data }) }),
  readIndex: of("readIndex", { context: id }),
  readIndexResponse: of("readIndexResponse", { context: id, index: number }),
  transferLeader: of("transferLeader", { transferee: id }),
};

export const messageKinds = Object.keys(byKind) as readonly Message["kind"][];

export function messageOf(kind: Message["kind"]): fc.Arbitrary<Message> {
  return byKind[kind];
}

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(...Object.values(byKind));
