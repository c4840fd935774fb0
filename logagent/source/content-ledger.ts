import { invariant } from "../../base/invariant.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import type { BytesHash, CheckpointRecord } from "../checkpoint/record.ts";
import { isLineStart, type LinePosition } from "../framing/types.ts";
import type { ShippedFile } from "../sink/port.ts";
import { AckedRanges } from "./acked-ranges.ts";
import type { TailTotals } from "./totals.ts";

/** One delivery that is not wholly acknowledged. */
interface Pending {
  readonly from: number;
  readonly to: number;
  /** Of the bytes before `to`, as they were when they were read. */
  readonly tail: BytesHash;
  /** What stands at `to`. */
  readonly position: LinePosition;
  /** Monotonic milliseconds. */
  readonly readAtMs: number;
}

export interface ContentLedgerOptions {
  readonly ip: string;
  readonly record: CheckpointRecord;
  readonly checkpoints: CheckpointStore;
  readonly totals: TailTotals;
  /** Told of lines that the destination refused for good. */
  readonly onRejected: (rejected: { from: number; to: number; lines: number; reason: string }) => void;
}

/**
 * The account of one content of a file, from birth to truncation: what was delivered, what is acknowledged. The checkpoint
 * moves only over contiguous acknowledged bytes, and only to where a delivery ended, because the hash of the bytes before
 * it was taken when they were read: later they may be others.
 */
export class ContentLedger implements ShippedFile {
  readonly id: string;
  readonly ip: string;
  readonly path: string;
  readonly record: CheckpointRecord;
  readonly #options: ContentLedgerOptions;
  readonly #acked: AckedRanges;
  readonly #pending: Pending[] = [];
  readonly #waiters: (() => void)[] = [];
  #detached = false;

  constructor(options: ContentLedgerOptions) {
    this.#options = options;
    this.record = options.record;
    this.id = options.record.id;
    this.ip = options.ip;
    this.path = options.record.path;
    this.#acked = new AckedRanges(options.record.offset);
  }

  /** Dead letters say it. */
  get entry(): string {
    return this.record.entry;
  }

  /** Every byte before it is acknowledged. */
  get ackedTo(): number {
    return this.#acked.contiguousTo;
  }

  /** Behind the last byte that is acknowledged, or waits for that. */
  get sentTo(): number {
    return this.#pending.at(-1)?.to ?? this.ackedTo;
  }

  /** Is everything delivered acknowledged? */
  get isSettled(): boolean {
    return this.#pending.length === 0;
  }

  /** When the oldest unacknowledged byte was read, in monotonic milliseconds; undefined when there is none. */
  get oldestReadAtMs(): number | undefined {
    return this.#pending[0]?.readAtMs;
  }

  /** Enters a delivery, before the sink is given it: acks may come before `deliver()` resolves. */
  enter(pending: Pending): void {
    this.#pending.push(pending);
    this.record.account.framed += pending.to - pending.from;
  }

  /** Takes back the delivery entered last, which the sink refused. */
  withdraw(): void {
    const pending = this.#pending.pop();
    invariant(pending !== undefined, "a delivery that is withdrawn was entered");
    this.record.account.framed -= pending.to - pending.from;
    this.#wakeWhenSettled();
  }

  acked(from: number, to: number, lines: number): void {
    this.#options.totals.bytesAcked += to - from;
    this.#options.totals.linesAcked += lines;
    this.#settle(from, to);
  }

  rejected(from: number, to: number, lines: number, reason: string): void {
    this.#options.totals.linesRejected += lines;
    if (!this.#detached) this.record.account.bytesRefused += to - from;
    this.#options.onRejected({ from, to, lines, reason });
    this.#settle(from, to);
  }

  /** From here on the record belongs to somebody else. */
  detach(): void {
    this.#detached = true;
  }

  /** Resolves when everything delivered is acknowledged. */
  whenSettled(): Promise<void> {
    if (this.isSettled) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #settle(from: number, to: number): void {
    this.#acked.add(from, to);
    let reached: Pending | undefined;
    while ((this.#pending[0]?.to ?? Number.POSITIVE_INFINITY) <= this.#acked.contiguousTo) {
      reached = this.#pending.shift();
    }
    if (reached !== undefined && !this.#detached) {
      // It may have been cut off, and said to be lost, after it was read and before it was delivered.
      this.#options.checkpoints.saw(this.record, reached.to);
      this.record.account.acked += reached.to - this.record.offset;
      this.record.offset = reached.to;
      this.record.tail = reached.tail;
      if (isLineStart(reached.position)) delete this.record.position;
      else this.record.position = reached.position;
      this.#options.checkpoints.touch();
    }
    this.#wakeWhenSettled();
  }

  #wakeWhenSettled(): void {
    if (!this.isSettled) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}
