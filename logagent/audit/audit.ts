import { addAccount, type FileAccount, newRemovedSums, type RemovedSums } from "../checkpoint/account.ts";
import type { JournaledLoss } from "../checkpoint/loss-line.ts";
import { weightOf } from "../checkpoint/loss-line.ts";
import { type CheckpointRecord, lastingKeyOf } from "../checkpoint/record.ts";
import type { FilePlace } from "./file-places.ts";
import { accountedLosses, lossProblems } from "./loss-problems.ts";
import type { WrittenAccounts } from "./read-accounts.ts";

/**
 * - `at its path`, `moved`: the file is there, under that name or another one.
 * - `compressed`: nobody saw it before it was, and it is there; how much is in it is known by reading it only.
 * - `replaced`: it has another content by now, which has a row of its own; acknowledgements of this one may still come.
 * - `gone`: deleted, compressed, or moved out of the folders that are looked through; an agent may hold it open.
 * - `unknown`: a folder cannot be read.
 */
export type AuditState = "at its path" | "moved" | "compressed" | "replaced" | "gone" | "unknown";

/** One content of a file. */
export interface AuditRow extends FileAccount {
  readonly path: string;
  readonly id: string;
  readonly entry: string;
  readonly topic: string;
  /** Bytes on disk; undefined when it is not there, or compressed. */
  readonly size: number | undefined;
  /** Seen, and neither acknowledged nor lost. */
  readonly held: number;
  readonly state: AuditState;
}

export interface Audit {
  readonly rows: readonly AuditRow[];
  /** Of which no checkpoint is kept any more. */
  readonly removed: RemovedSums;
  /** Rows and removed ones. */
  readonly totals: RemovedSums & { readonly held: number };
  /** Loss records of which the checkpoints do not know: written since, or by an agent that died before it wrote them. */
  readonly unaccounted: { readonly records: number; readonly bytes: number; readonly unknown: number };
  /** Sentences: why it does not add up. */
  readonly problems: readonly string[];
}

/** What is there now, beside what was written. */
export interface Surroundings {
  readonly places: ReadonlyMap<CheckpointRecord, FilePlace>;
  /** Does an agent own the data folder? It may hold files that are gone. */
  readonly hasAgent: boolean;
}

/** Holds the accounts against themselves, the loss journal, and the files on disk. */
export function audit(written: WrittenAccounts, { places, hasAgent }: Surroundings): Audit {
  const { records, removed } = written.checkpoints;
  // A content that replaced another one in a file has its identity, and was minted later.
  const current = new Map(records.map((record) => [lastingKeyOf(record), record]));
  const rows = records.map((record) => rowOf(record, places.get(record), current.get(lastingKeyOf(record))));
  const totals = { ...newRemovedSums(), held: 0 };
  for (const account of [removed, ...rows]) addAccount(totals, account);
  for (const { held } of rows) totals.held += held;
  totals.files = removed.files + rows.length;
  const hasLoss = new Set([...written.losses.values()].map(({ file }) => file));
  const problems = [
    ...written.damaged,
    ...rows.flatMap((row, index) => rowProblems(row, records[index]?.offset ?? 0, hasLoss)),
    ...(hasAgent ? [] : rows.flatMap(abandonedBytes)),
    ...sumProblems("files long gone", { ...removed, held: 0 }),
    ...sumProblems("all files", totals),
    ...lossProblems(written, totals),
  ];
  return { rows, removed, totals, unaccounted: unaccounted(written), problems };
}

function rowOf(
  record: CheckpointRecord,
  place: FilePlace = { kind: "unknown" },
  current: CheckpointRecord | undefined,
): AuditRow {
  const { path, id, entry, topic, seen, offset, account } = record;
  const isThere = place.kind === "there" && current === record && record.isPacked !== true;
  return {
    path,
    id,
    entry,
    topic,
    size: isThere ? place.size : undefined,
    ...account,
    held: seen - offset,
    state: stateOf(record, place, current),
  };
}

function stateOf(
  record: CheckpointRecord,
  place: FilePlace,
  current: CheckpointRecord | undefined,
): AuditState {
  if (current !== record) return "replaced";
  if (place.kind !== "there") return place.kind;
  if (record.isPacked === true) return "compressed";
  return place.path === record.path ? "at its path" : "moved";
}

function rowProblems(row: AuditRow, offset: number, hasLoss: ReadonlySet<string>): readonly string[] {
  const name = `${row.path} (${row.id})`;
  const problems = [...sumProblems(name, row)];
  if (row.held < 0)
    problems.push(`${name}: acknowledged to ${offset}, which is ${-row.held} bytes more than was seen`);
  if (row.acked > row.framed || row.framed > row.read) {
    const { read, framed, acked } = row;
    problems.push(`${name}: read ${read}, framed ${framed} and acked ${acked} are not in this order`);
  }
  if (row.size !== undefined && row.size < offset && !hasLoss.has(row.id)) {
    problems.push(
      `${name}: has ${row.size} bytes, but ${offset} are acknowledged, and no loss record says that it was truncated`,
    );
  }
  return problems;
}

/** With no agent, nobody has a file open any more, and nobody has in memory what was read of it. */
function abandonedBytes({ path, id, held, state }: AuditRow): readonly string[] {
  if (held <= 0 || (state !== "gone" && state !== "replaced")) return [];
  const [what, unless] =
    state === "gone"
      ? ["the file is gone", ", unless it finds the file compressed"]
      : ["its content was replaced", ""];
  return [
    `${path} (${id}): ${held} bytes are held by nobody: no agent runs, and ${what}; ` +
      `the next start of the agent enters them as lost${unless}`,
  ];
}

function sumProblems(name: string, account: FileAccount & { readonly held: number }): readonly string[] {
  const { seen, acked, lost, held } = account;
  const sum = acked + lost + held;
  if (seen === sum) return [];
  return [`${name}: seen ${seen}, but acked ${acked} + lost ${lost} + held ${held} = ${sum}`];
}

function unaccounted(written: WrittenAccounts): Audit["unaccounted"] {
  const known = new Set(accountedLosses(written).losses);
  const others: readonly JournaledLoss[] = [...written.losses.values()].filter((loss) => !known.has(loss));
  let bytes = 0;
  let unknown = 0;
  for (const weight of others.map(weightOf)) {
    bytes += weight.bytes;
    unknown += weight.unknown;
  }
  return { records: others.length, bytes, unknown };
}
