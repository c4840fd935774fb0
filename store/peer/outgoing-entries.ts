import type { AppendMessage } from "../raft/message.ts";
import type { EntryMessage } from "./message-codec.ts";

interface Queued {
  readonly message: EntryMessage;
  readonly bytes: number;
}

/** Messages with entries that wait for room in a socket, in order. Who adds them bounds them. */
export class OutgoingEntries {
  #queued: Queued[] = [];
  #bytes = 0;

  /** Of all of them, encoded. */
  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#queued.length;
  }

  get isEmpty(): boolean {
    return this.#queued.length === 0;
  }

  get first(): EntryMessage | undefined {
    return this.#queued[0]?.message;
  }

  /** 0: there is none. */
  get firstBytes(): number {
    return this.#queued[0]?.bytes ?? 0;
  }

  /** Whether an append with the very same entries waits. */
  has(message: EntryMessage): boolean {
    if (message.kind !== "append" || message.entries.length === 0) return false;
    return this.#queued.some((queued) => queued.message.kind === "append" && isSame(queued.message, message));
  }

  add(message: EntryMessage, bytes: number): void {
    this.#queued.push({ message, bytes });
    this.#bytes += bytes;
  }

  shift(): void {
    this.#bytes -= this.#queued.shift()?.bytes ?? 0;
  }

  clear(): void {
    this.#queued = [];
    this.#bytes = 0;
  }
}

/** A leader never has two entries of one index in one term (Raft §5.3), so that places say it all. */
function isSame(one: AppendMessage, other: AppendMessage): boolean {
  return (
    one.term === other.term &&
    one.from === other.from &&
    one.prev.index === other.prev.index &&
    one.prev.term === other.prev.term &&
    one.entries.length === other.entries.length
  );
}
