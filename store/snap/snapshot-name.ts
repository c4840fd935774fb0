import type { EntryId } from "../raft/types.ts";

/** What a received snapshot is called: its last entry's index and term, 16 hexadecimal digits each. */
export function formatSnapshotName({ index, term }: EntryId): string {
  return `${hex64(index)}-${hex64(term)}.db`;
}

/** Undefined for a name that is not a received snapshot's. */
export function parseSnapshotName(name: string): EntryId | undefined {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.db$/.exec(name);
  if (match === null) return undefined;
  return { index: Number.parseInt(match[1] ?? "", 16), term: Number.parseInt(match[2] ?? "", 16) };
}

function hex64(value: number): string {
  return value.toString(16).padStart(16, "0");
}
