import { CodedError, errorMessage } from "../../base/errors.ts";
import { type LossReason, type LossRecord, lostBytes } from "./loss.ts";

export const LOSSES_VERSION = 1;
const NEWLINE = 10;

export interface LossTotals {
  readonly bytes: number;
  readonly unknown: number;
}

/** A loss as it stands in the journal. */
export interface JournaledLoss extends LossRecord {
  /** Its number, from 1 on. */
  readonly number: number;
  /**
   * The number of the loss before it in the same account; 0: it is the first. Those in between were written by an agent that
   * died before its checkpoints said so: what is true of them is said again.
   */
  readonly after: number;
  /** Of the file at that time: what was settled, and all that was seen of it, ever. */
  readonly acked: number;
  readonly seen: number;
  /** Of all files, together with this one. */
  readonly totals: LossTotals;
  /** More losses that are not listed, because the disk took none for long. */
  readonly others?: LossTotals & { readonly records: number };
}

/** Bytes and losses of unknown extent that a line stands for. */
export function weightOf(loss: LossRecord & Pick<JournaledLoss, "others">): LossTotals {
  const { bytes = 0, unknown = 0 } = loss.others ?? {};
  return { bytes: lostBytes(loss) + bytes, unknown: (loss.to === "unknown" ? 1 : 0) + unknown };
}

/** One line of JSON, newline included. */
export function encodeLoss({ number, noticedAtMs, ...loss }: JournaledLoss): Buffer {
  const at = new Date(noticedAtMs).toISOString();
  return Buffer.from(`${JSON.stringify({ version: LOSSES_VERSION, number, at, ...loss })}\n`);
}

export interface DecodedLosses {
  readonly losses: readonly JournaledLoss[];
  /** Of each loss, the byte behind its line. */
  readonly ends: readonly number[];
  /** Lines that cannot be read: where they begin, and what is wrong with them. */
  readonly damaged: readonly { readonly from: number; readonly sentence: string }[];
}

/**
 * Reads the whole lines of a journal; what stands behind the last newline is what a crash left. Throws CodedError
 * "ELOSSES_VERSION" for a newer version. `name` is for the messages.
 */
export function decodeLosses(bytes: Buffer, name: string): DecodedLosses {
  const losses: JournaledLoss[] = [];
  const ends: number[] = [];
  const damaged: { from: number; sentence: string }[] = [];
  let from = 0;
  for (let line = 1, newline = bytes.indexOf(NEWLINE); newline !== -1; line += 1) {
    try {
      losses.push(parseLoss(bytes.toString("utf8", from, newline), name));
      ends.push(newline + 1);
    } catch (error) {
      if (error instanceof CodedError) throw error;
      damaged.push({ from, sentence: `Cannot read line ${line} of ${name}: ${errorMessage(error)}` });
    }
    from = newline + 1;
    newline = bytes.indexOf(NEWLINE, from);
  }
  return { losses, ends, damaged };
}

function parseLoss(line: string, name: string): JournaledLoss {
  const { version, at, ...rest } = JSON.parse(line) as Record<string, unknown>;
  if (typeof version === "number" && version > LOSSES_VERSION) {
    const message = `Cannot read losses ${name}: format version ${version}, expected ${LOSSES_VERSION} or less`;
    throw new CodedError("ELOSSES_VERSION", message);
  }
  const loss = { ...rest, noticedAtMs: Date.parse(String(at)) } as JournaledLoss & { reason: LossReason };
  const numbers = [loss.number, loss.after, loss.from, loss.totals?.bytes, loss.totals?.unknown];
  const isWhole = numbers.every(Number.isSafeInteger) && typeof loss.file === "string";
  if (version !== LOSSES_VERSION || !isWhole || Number.isNaN(loss.noticedAtMs)) {
    throw new Error("it is no loss record");
  }
  return loss;
}
