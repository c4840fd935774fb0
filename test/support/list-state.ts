import type { Applied, Configure } from "../../store/apply/types.ts";
import { decodeConfChange } from "../../store/raft/conf-change.ts";
import type { ConfState, Entry } from "../../store/raft/types.ts";
import type { DrivenState } from "../../store/replica/ready-loop-options.ts";

/** What a {@link ListState} has made durable: a test keeps it over a crash. */
export interface ListImage {
  readonly index: number;
  readonly term: number;
  readonly values: readonly string[];
  readonly confState: ConfState;
}

const NOBODY: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

export const EMPTY_LIST: ListImage = { index: 0, term: 0, values: [], confState: NOBODY };

/**
 * A state machine small enough to reason about: it keeps the values it was given, in order. An entry is a request id
 * (8 bytes) and a value, or changes the configuration, with a request id for its context; `flush()` takes a turn of the event loop and makes durable what was applied when it began.
 */
export class ListState implements DrivenState {
  #values: string[];
  #index: number;
  #term: number;
  #confState: ConfState;
  #image: ListImage;
  /** Steps that compaction has left to do. */
  compactSteps = 0;
  flushError: Error | undefined;
  /** In how many steps an entry is applied. */
  stepsOf: (entry: Entry) => number = () => 1;
  /** Called in each of them. */
  onApply: (entry: Entry) => void = () => undefined;

  constructor(image: ListImage = EMPTY_LIST) {
    this.#values = [...image.values];
    this.#index = image.index;
    this.#term = image.term;
    this.#confState = image.confState;
    this.#image = image;
  }

  get appliedIndex(): number {
    return this.#index;
  }

  get appliedTerm(): number {
    return this.#term;
  }

  get flushedIndex(): number {
    return this.#image.index;
  }

  get confState(): ConfState {
    return this.#confState;
  }

  get values(): readonly string[] {
    return this.#values;
  }

  /** What a power cut would leave. */
  get image(): ListImage {
    return this.#image;
  }

  *apply(entry: Entry, configure: Configure): Generator<undefined, Applied> {
    if (entry.index !== this.#index + 1) throw new Error(`applied ${entry.index} after ${this.#index}`);
    for (let step = 1; step < this.stepsOf(entry); step += 1) {
      this.onApply(entry);
      yield;
    }
    this.onApply(entry);
    this.#index = entry.index;
    this.#term = entry.term;
    const revision = this.#values.length;
    if (entry.kind === "confChange") {
      const change = decodeConfChange(entry.data);
      this.#confState = configure(change);
      const requestId = change.context.byteLength === 8 ? Buffer.from(change.context).readBigUInt64BE() : 0n;
      return { requestId, outcome: { kind: "done", revision, response: entry.data } };
    }
    if (entry.data.byteLength === 0) {
      return { requestId: 0n, outcome: { kind: "done", revision, response: entry.data } };
    }
    const data = Buffer.from(entry.data);
    this.#values.push(data.toString("utf8", 8));
    return {
      requestId: data.readBigUInt64BE(0),
      outcome: { kind: "done", revision: revision + 1, response: data.subarray(8) },
    };
  }

  compactStep(): boolean {
    this.compactSteps = Math.max(0, this.compactSteps - 1);
    return this.compactSteps > 0;
  }

  /** Takes over another's image, durably. */
  install(image: ListImage): void {
    if (image.index <= this.#index) throw new Error(`installed ${image.index} over ${this.#index}`);
    this.#index = image.index;
    this.#term = image.term;
    this.#values = [...image.values];
    this.#confState = image.confState;
    this.#image = image;
  }

  async flush(): Promise<void> {
    const image = {
      index: this.#index,
      term: this.#term,
      values: [...this.#values],
      confState: this.#confState,
    };
    await new Promise((resolve) => setImmediate(resolve));
    if (this.flushError !== undefined) throw this.flushError;
    // An image was installed meanwhile, or a later flush was quicker.
    if (image.index > this.#image.index) this.#image = image;
  }
}

export function proposal(requestId: bigint, value: string): Buffer {
  const data = Buffer.alloc(8 + Buffer.byteLength(value));
  data.writeBigUInt64BE(requestId, 0);
  data.write(value, 8);
  return data;
}
