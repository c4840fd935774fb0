import { encodeConfChange } from "../raft/conf-change.ts";
import type { Entry } from "../raft/types.ts";
import { toConfChange } from "./member-codec.ts";
import { byId, type Member } from "./types.ts";

/** Nobody waits for an entry that no client asked for. */
const NO_REQUEST_ID = 0n;
const BOOTSTRAP_TERM = 1;

/**
 * How every first member of a new cluster begins its log: an entry for each of them, ascending by id, so that all have
 * the same (etcd raft `Bootstrap`). They are committed without a vote.
 */
export function bootstrapEntries(members: readonly Member[]): Entry[] {
  return byId(members).map((member, position) => ({
    term: BOOTSTRAP_TERM,
    index: position + 1,
    kind: "confChange",
    // A cluster does not begin with learners, and no limit is asked for.
    data: encodeConfChange(toConfChange({ kind: "add", member, learnersMax: 0 }, NO_REQUEST_ID)),
  }));
}
