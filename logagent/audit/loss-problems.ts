import type { FileAccount } from "../checkpoint/account.ts";
import { type JournaledLoss, weightOf } from "../checkpoint/loss-line.ts";
import type { WrittenAccounts } from "./read-accounts.ts";

/** The losses of which the checkpoints know, oldest first; not complete when the journal has forgotten the oldest. */
export function accountedLosses({ checkpoints, losses }: WrittenAccounts): {
  readonly losses: readonly JournaledLoss[];
  readonly isComplete: boolean;
} {
  const accounted: JournaledLoss[] = [];
  let number = checkpoints.losses;
  for (let loss = losses.get(number); loss !== undefined && number > 0; loss = losses.get(number)) {
    accounted.push(loss);
    // A journal that leads forward is damaged, and no way to walk in circles.
    number = loss.after < number ? loss.after : -1;
  }
  return { losses: accounted.reverse(), isComplete: number === 0 };
}

/** What of the loss journal does not fit the accounts, or itself. */
export function lossProblems(written: WrittenAccounts, totals: FileAccount): readonly string[] {
  const accounted = accountedLosses(written);
  return [
    ...totalProblems(written, accounted.losses.at(-1), totals),
    ...fileProblems(written, accounted),
    ...rangeProblems(accounted.losses),
  ];
}

function totalProblems(
  { checkpoints }: WrittenAccounts,
  last: JournaledLoss | undefined,
  { lost, lossesUnknown }: FileAccount,
): readonly string[] {
  if (checkpoints.losses > 0 && last === undefined) {
    return [
      `loss record ${checkpoints.losses}, the last of which the checkpoints know, is not in the journal`,
    ];
  }
  const { bytes, unknown } = last?.totals ?? { bytes: 0, unknown: 0 };
  if (bytes === lost && unknown === lossesUnknown) return [];
  return [
    `the journal's losses come to ${bytes} bytes and ${unknown} of unknown extent, those of all files to ${lost} and ${lossesUnknown}`,
  ];
}

/** The losses of each file are in its account; those of files without one are in the account of files long gone. */
function fileProblems(
  { checkpoints }: WrittenAccounts,
  { losses, isComplete }: { readonly losses: readonly JournaledLoss[]; readonly isComplete: boolean },
): readonly string[] {
  const problems: string[] = [];
  const journaled = new Map<string, number>();
  const hasAll = isComplete && losses.every(({ others }) => others === undefined);
  for (const loss of losses) {
    const bytes = weightOf({ ...loss, others: { bytes: 0, unknown: 0, records: 0 } }).bytes;
    journaled.set(loss.file, (journaled.get(loss.file) ?? 0) + bytes);
  }
  for (const { id, path, account } of checkpoints.records) {
    const bytes = journaled.get(id) ?? 0;
    journaled.delete(id);
    const fits = hasAll ? bytes === account.lost : bytes <= account.lost;
    if (!fits) problems.push(`${path} (${id}): lost ${account.lost}, but its loss records come to ${bytes}`);
  }
  const others = [...journaled.values()].reduce((sum, bytes) => sum + bytes, 0);
  const { lost } = checkpoints.removed;
  const fits = hasAll ? others === lost : others <= lost;
  if (fits) return problems;
  const files = [...journaled].filter(([, bytes]) => bytes > 0).map(([file]) => file);
  return [
    ...problems,
    `loss records of ${others} bytes belong to no file that has an account (${files.slice(0, 5).join(", ")}), ` +
      `but files long gone have lost ${lost}`,
  ];
}

/** Ranges of one file may overlap only by bytes that came anew where others had been cut off. */
function rangeProblems(losses: readonly JournaledLoss[]): readonly string[] {
  const problems: string[] = [];
  const before = new Map<string, JournaledLoss>();
  for (const loss of losses) {
    const { file, path, from, to, number, acked, seen } = loss;
    if (to === "unknown") continue;
    const name = `${path} (${file}): loss record ${number} of [${from}, ${to})`;
    if (from > to) problems.push(`${name} is reversed`);
    if (from < acked) problems.push(`${name} overlaps what is acknowledged, to ${acked}`);
    const last = before.get(file);
    before.set(file, loss);
    if (last === undefined || last.to === "unknown") continue;
    const overlap = Math.min(to, last.to) - Math.max(from, last.from);
    if (overlap > seen - last.seen) {
      problems.push(`${name} overlaps loss record ${last.number} of [${last.from}, ${last.to})`);
    }
  }
  return problems;
}
