import type { Writable } from "node:stream";
import { errorCode, errorMessage } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import {
  type Batch,
  DeliveryError,
  type Destination,
  type SendTarget,
  type TopicInfo,
} from "./destination.ts";
import { LineBatch, lineTopic, newLineBatch, newlineBytes } from "./line-batch.ts";

/** Small, so that a reader that stops holds little. */
const BATCH_BYTES_MAX = 64 * 1024;

/**
 * The lines of all topics on one stream, whole and each with a newline. They count as acknowledged when the system has taken them
 * from this process, which is all that a pipe can promise; a reader that does not read makes deliveries wait.
 */
export class StreamDestination implements Destination {
  readonly newBatch = newLineBatch;
  readonly lineOverheadBytes = newlineBytes;
  readonly #stream: Writable;
  #failed: Error | undefined;
  #onGone: ((error: DeliveryError) => void) | undefined;

  /** The stream is not closed by the sink. `onGone` is told once that it takes nothing more, ever. */
  constructor(stream: Writable, onGone?: (error: DeliveryError) => void) {
    this.#stream = stream;
    this.#onGone = onGone;
    // For good: a write that is pending when the sink is closed may fail later, and an error that nobody listens to would end
    // the process.
    stream.on("error", (error) => {
      if (this.#failed !== undefined) return;
      this.#failed = error;
      this.#onGone?.(failure(error));
    });
  }

  async describe(topic: string): Promise<TopicInfo> {
    return lineTopic(topic, BATCH_BYTES_MAX);
  }

  async send(_target: SendTarget, batch: Batch): Promise<void> {
    invariant(batch instanceof LineBatch, "a stream sink sends the batches it made");
    if (this.#failed !== undefined) throw failure(this.#failed);
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(batch.bytes, (error) => (error == null ? resolve() : reject(failure(error))));
    });
  }

  async close(): Promise<void> {
    this.#onGone = undefined;
  }
}

function failure(cause: Error): DeliveryError {
  return new DeliveryError(
    errorCode(cause) ?? "EIO",
    `Cannot write to standard output: ${errorMessage(cause)}`,
    {
      remedy: "slow",
      cause,
    },
  );
}
