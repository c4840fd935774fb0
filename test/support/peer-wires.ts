import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { FrameDecoder } from "../../store/peer/frame.ts";
import { decodeHello, HANDSHAKE_BYTES_MAX } from "../../store/peer/handshake.ts";

/** From one member to another. */
export interface Wire {
  readonly from: string;
  readonly to: string;
}

interface Joined {
  readonly wire: Wire;
  /** Both ends; one, where the wire was cut before the other was made. */
  readonly sockets: readonly Socket[];
}

/**
 * The wires between members: a TCP proxy in front of each one's peer listener, which hears from the hello who dials. A
 * wire carries what its `from` has dialled, and so the messages in one direction. On a cut wire nothing moves, and nobody
 * is told: as packets are lost.
 */
export class PeerWires implements AsyncDisposable {
  readonly #servers = new Map<string, Server>();
  readonly #nameByUrl = new Map<string, string>();
  readonly #joined = new Set<Joined>();
  readonly #strangers = new Set<Socket>();
  #cut: readonly Wire[] = [];

  /** Makes a proxy for a member that listens at `target`; resolves with the URL to advertise instead. */
  async add(name: string, target: string): Promise<string> {
    const server = createServer((socket) => this.#join(socket, name, target));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#servers.set(name, server);
    this.#nameByUrl.set(url, name);
    return url;
  }

  /** From now on these are cut, and no others: what hung on them goes on where it stopped. */
  cut(wires: readonly Wire[]): void {
    this.#cut = wires;
    for (const joined of this.#joined) {
      const isCut = this.#isCut(joined.wire);
      for (const socket of joined.sockets) {
        if (isCut) socket.pause();
        else if (joined.sockets.length === 1) socket.destroy();
        else socket.resume();
      }
    }
  }

  /** No wire is cut. */
  heal(): void {
    this.cut([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sockets } of this.#joined) for (const socket of sockets) socket.destroy();
    for (const socket of this.#strangers) socket.destroy();
    for (const server of this.#servers.values()) {
      server.close();
      await once(server, "close");
    }
  }

  #isCut({ from, to }: Wire): boolean {
    return this.#cut.some((wire) => wire.from === from && wire.to === to);
  }

  #join(dialler: Socket, to: string, target: string): void {
    const decoder = new FrameDecoder(HANDSHAKE_BYTES_MAX);
    const head: Buffer[] = [];
    this.#strangers.add(dialler);
    dialler.setNoDelay(true);
    dialler.on("error", () => dialler.destroy());
    dialler.on("close", () => this.#strangers.delete(dialler));
    dialler.on("data", (chunk) => {
      head.push(chunk);
      decoder.push(chunk);
      const frame = decoder.next();
      if (frame === undefined) return;
      dialler.removeAllListeners("data");
      dialler.pause();
      this.#strangers.delete(dialler);
      const { peerUrls } = decodeHello(frame);
      const wire = { from: this.#nameByUrl.get(peerUrls[0] ?? "") ?? "", to };
      this.#carry(dialler, { wire, target, head: Buffer.concat(head) });
    });
  }

  #carry(
    dialler: Socket,
    { wire, target, head }: { readonly wire: Wire; readonly target: string; readonly head: Buffer },
  ): void {
    if (this.#isCut(wire)) {
      this.#add({ wire, sockets: [dialler] });
      return;
    }
    const { hostname, port } = new URL(target);
    const listener = connect(Number(port), hostname);
    listener.setNoDelay(true);
    listener.write(head);
    pass(dialler, listener);
    pass(listener, dialler);
    this.#add({ wire, sockets: [dialler, listener] });
    dialler.resume();
  }

  #add(joined: Joined): void {
    this.#joined.add(joined);
    for (const socket of joined.sockets) {
      socket.on("close", () => {
        this.#joined.delete(joined);
        // A cut wire does not tell the other end either.
        if (this.#isCut(joined.wire)) return;
        for (const other of joined.sockets) other.destroy();
      });
    }
  }
}

function pass(from: Socket, to: Socket): void {
  from.on("data", (chunk) => {
    if (!to.write(chunk)) {
      from.pause();
      to.once("drain", () => from.resume());
    }
  });
  from.on("error", () => from.destroy());
}
