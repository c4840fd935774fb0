import type { PeerTransport } from "../peer/transport.ts";
import type { Message, SnapshotMessage } from "../raft/message.ts";
import type { Entry, RaftCore, ReadState, SoftState, Write } from "../raft/types.ts";
import type { WalWriter } from "./wal-writer.ts";

export interface RoundsOptions {
  readonly core: RaftCore;
  readonly writer: WalWriter;
  readonly transport: PeerTransport;
  readonly onSnapshotToSend: (message: SnapshotMessage) => void;
  readonly onCommitted: (entries: readonly Entry[]) => void;
  readonly onReadState: (state: ReadState) => void;
  readonly onSoftState: (state: SoftState) => void;
}

/**
 * Takes the core's rounds to where they belong (etcd-io/raft doc.go, AsyncStorageWrites): messages leave at once, while the
 * disk works; what promises something leaves when it is on this member's disk.
 */
export class Rounds {
  readonly #options: RoundsOptions;

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Tells the core what is on disk, takes all that it has to do, and sets the disk to work on it. */
  run(persisted: readonly Write[]): void {
    let done = persisted;
    do {
      for (const write of done) this.#persisted(write);
      this.#take();
      done = this.#options.writer.start();
    } while (done.length > 0);
  }

  #persisted(write: Write): void {
    const { core, transport } = this.#options;
    const { id } = core.status;
    const outgoing: Message[] = [];
    for (const response of write.responses) {
      if (response.to === id) core.step(response);
      else outgoing.push(response);
    }
    if (outgoing.length > 0) transport.send(outgoing);
    core.persisted(write);
  }

  #take(): void {
    const { core, writer, onCommitted, onReadState, onSoftState } = this.#options;
    for (let ready = core.ready(); ready !== undefined; ready = core.ready()) {
      if (ready.messages.length > 0) this.#send(ready.messages);
      if (ready.write !== undefined) writer.add(ready.write);
      if (ready.committed.length > 0) onCommitted(ready.committed);
      for (const state of ready.readStates) onReadState(state);
      if (ready.softState !== undefined) onSoftState(ready.softState);
    }
  }

  #send(messages: readonly Message[]): void {
    this.#options.transport.send(messages.filter(({ kind }) => kind !== "snapshot"));
    for (const message of messages) {
      if (message.kind === "snapshot") this.#options.onSnapshotToSend(message);
    }
  }
}
