import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/** Where Node tells of each connection that any server of the process takes (node:diagnostics_channel, Built-in Channels). */
const CHANNEL = "net.server.socket";

/**
 * The connections that came in on some ports. An HTTP/2 session keeps its socket to itself, and closes it only when the
 * network has taken what was written: that of a client which stands still, or is behind a broken wire, does not close.
 */
export class AcceptedSockets {
  readonly #ports = new Set<number>();
  readonly #sockets = new Set<Socket>();
  readonly #onAccepted = (message: unknown) => this.#add((message as { readonly socket: Socket }).socket);

  constructor() {
    subscribe(CHANNEL, this.#onAccepted);
  }

  /** Connections on this port count, from now on. */
  watch(port: number): void {
    this.#ports.add(port);
  }

  /** Ends them at once, whatever they have left to send. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Takes no more notice of connections. */
  close(): void {
    unsubscribe(CHANNEL, this.#onAccepted);
  }

  #add(socket: Socket): void {
    if (!this.#ports.has(socket.localPort ?? 0)) return;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}
