import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Delivery, Sink, TopicStatus } from "../sink/port.ts";

const LF = Buffer.from("\n");

export interface PreviewOptions {
  readonly output: Writable;
  /** `<path>:<offset>` and a tab before each line. */
  readonly offsets: boolean;
  /** Lines after which `onEnough` is called and no more are written. */
  readonly linesMax: number;
  readonly onEnough: () => void;
}

/** Writes lines for a person to read; each counts as acknowledged once it is written. */
export class PreviewSink implements Sink {
  readonly inFlightBytes = 0;
  lines = 0;
  readonly #options: PreviewOptions;

  constructor(options: PreviewOptions) {
    this.#options = options;
  }

  async deliver(delivery: Delivery, options: { readonly signal: AbortSignal }): Promise<void> {
    options.signal.throwIfAborted();
    const { spans, file } = delivery;
    const { output, offsets, linesMax, onEnough } = this.#options;
    const positions = spans.positions ?? spans.starts;
    const parts: Buffer[] = [];
    for (let i = 0; i < spans.count && this.lines < linesMax; i++) {
      const start = spans.starts[i] as number;
      if (offsets) parts.push(Buffer.from(`${file.path}:${spans.base + (positions[i] as number)}\t`));
      parts.push(spans.bytes.subarray(start, spans.ends[i]), LF);
      this.lines += 1;
    }
    // Copied: the chunk belongs to the reader again as soon as this resolves.
    if (!output.write(Buffer.concat(parts))) await once(output, "drain", { signal: options.signal });
    file.acked(spans.from, spans.to, spans.count);
    if (this.lines >= linesMax) onEnough();
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  topic(): TopicStatus {
    return { kind: "ready", warnings: [] };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
