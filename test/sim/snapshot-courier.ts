import { errorMessage } from "../../base/errors.ts";
import type { SnapshotContent } from "../../store/peer/transport.ts";
import type { SnapshotMessage } from "../../store/raft/message.ts";
import type { PeerNetwork, SimTransport } from "./sim-transport.ts";

/** Of a snapshot, when nothing goes wrong. */
const CHUNK_MS = 1;
/** Who waits longer gives up. */
const TIMEOUT_MS = 20_000;

interface Carriage {
  readonly sender: SimTransport;
  readonly receiver: SimTransport;
  readonly message: SnapshotMessage;
  readonly content: SnapshotContent;
  readonly signal: AbortSignal;
  readonly peers: PeerNetwork;
}

/** Takes a snapshot's content from one process to another, chunk by chunk, on a connection of its own, which may break. */
export async function carrySnapshot(carriage: Carriage): Promise<void> {
  const { sender, receiver, message, content, signal, peers } = carriage;
  const { network } = peers;
  const inlet = new Inlet();
  const outcome = Promise.withResolvers<void>();
  const breakOff = (reason: string) => {
    sender.process.after(CHUNK_MS, () => outcome.reject(new Error(reason)));
    receiver.process.after(CHUNK_MS, () => inlet.fail(new Error(reason)));
  };
  const answer = (error: unknown) => {
    const isSent = network.send(receiver, sender, () => {
      if (error === undefined) outcome.resolve();
      else outcome.reject(error);
    });
    if (!isSent) breakOff("the connection broke before the answer");
  };
  const carry = (deliver: () => void) => network.carryInOrder(sender, receiver, deliver, breakOff);
  const forget = [
    sender.process.onEnd(() =>
      receiver.process.after(CHUNK_MS, () => inlet.fail(new Error("the sender died"))),
    ),
    receiver.process.onEnd(() => breakOff("the receiver died")),
  ];
  const timer = sender.process.after(TIMEOUT_MS, () => breakOff("no answer in time"));
  const onAbort = () => breakOff("the sender stops");
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    carry(() => {
      peers.log.delivered(message);
      receiver.handler.receiveSnapshot(message, inlet.body()).then(
        () => answer(undefined),
        (error: unknown) => answer(new Error(errorMessage(error))),
      );
    });
    outcome.promise.catch(() => undefined);
    for await (const chunk of content.body) {
      const copy = Buffer.from(chunk);
      carry(() => inlet.push(copy));
      await sender.process.delay(CHUNK_MS);
    }
    carry(() => inlet.end());
    await outcome.promise;
  } finally {
    sender.process.cancel(timer);
    signal.removeEventListener("abort", onAbort);
    for (const each of forget) each();
  }
}

/** What has come of a body and was not read yet. */
class Inlet {
  readonly #chunks: Uint8Array[] = [];
  #isEnded = false;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  fail(error: Error): void {
    if (!this.#isEnded) this.#failure ??= error;
    this.#wake();
  }

  async *body(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#isEnded) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
