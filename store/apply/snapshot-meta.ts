import type { Backend } from "../backend/port.ts";
import { readConfState } from "../membership/conf-state-record.ts";
import type { SnapshotMeta } from "../raft/types.ts";
import { AppliedIndex } from "./applied-index.ts";

/** What a backend, or a copy of one, holds: every entry up to this one, and the configuration as of it. */
export function readSnapshotMeta(content: Pick<Backend, "get">): SnapshotMeta {
  const { index, term } = AppliedIndex.read(content);
  return { index, term, confState: readConfState(content) };
}
