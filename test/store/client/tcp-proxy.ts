import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A wire between client and store that a test can cut, or let hang without a word. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: string;
  #hanging = false;
  #refusing = false;
  #accepted = 0;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that clients made so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Where new connections go. */
  set target(endpoint: string) {
    this.#target = endpoint;
  }

  /** Breaks what stands. New connections are made as before, or broken at once too. */
  cut(options: { readonly refuse?: boolean } = {}): void {
    this.#refusing = options.refuse ?? false;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From now on nothing goes through, and nobody is told. */
  hang(): void {
    this.#hanging = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** New connections work again; those that hung go on. */
  heal(): void {
    this.#hanging = false;
    this.#refusing = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket): void {
    this.#accepted += 1;
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const { hostname, port } = new URL(this.#target);
    const store = connect(Number(port), hostname);
    this.#link(client, store);
    this.#link(store, client);
  }

  #link(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (chunk) => to.write(chunk));
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#hanging) from.pause();
  }
}
