import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy on the way to a broker that can fall silent, or break. */
export class TcpProxy implements AsyncDisposable {
  /** Answers are swallowed: connections stay open and mute. */
  isMute = false;
  /** Connections that clients have closed. */
  closedByClient = 0;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#onClient(client));

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  static async open(ports: { readonly port: number; readonly targetPort: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(ports.targetPort);
    proxy.#server.listen(ports.port, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #onClient(client: Socket): void {
    const broker = connect(this.#targetPort, "127.0.0.1");
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
    client.on("data", (data) => broker.write(data));
    broker.on("data", (data) => {
      if (!this.isMute) client.write(data);
    });
    client.on("close", () => {
      this.closedByClient += 1;
      broker.destroy();
    });
    broker.on("close", () => client.destroy());
  }
}
