import { CodedError, errorMessage } from "../../base/errors.ts";
import { type LossReason, type LossRecord, lostBytes } from "./loss.ts";

export const LOSSES_VERSION = 1;

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

/**
 * Reads the whole lines of a journal; what stands behind the last newline is what a crash left. `damaged` says what is wrong
 * with lines that cannot be read. Throws CodedError "ELOSSES_VERSION" for a newer version. `name` is for the message.
 */
export function decodeLosses(
  text: string,
  name: string,
): { readonly losses: readonly JournaledLoss[]; readonly damaged: readonly string[] } {
  const losses: JournaledLoss[] = [];
  const damaged: string[] = [];
  for (const [index, line] of text.split("\n").slice(0, -1).entries()) {
    try {
      losses.push(parseLoss(line, name));
    } catch (error) {
      if (error instanceof CodedError) throw error;
      damaged.push(`Cannot read line ${index + 1} of ${name}: ${errorMessage(error)}`);
    }
  }
  return { losses, damaged };
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
