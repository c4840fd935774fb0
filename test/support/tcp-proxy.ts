import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A wire between a client and a server that a test can cut, let hang without a word, or make swallow answers. */
export class TcpProxy implements AsyncDisposable {
  /** Answers are swallowed: connections stay open and mute. */
  isMute = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: string;
  #hanging = false;
  #refusing = false;
  #accepted = 0;
  #closedByClient = 0;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  /** On a port of its own choice, unless one is named. `target` is a URL with host and port. */
  static async start(target: string, options: { readonly port?: number } = {}): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(options.port ?? 0, "127.0.0.1");
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

  /** Connections that clients have closed. */
  get closedByClient(): number {
    return this.#closedByClient;
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
    const server = connect(Number(port), hostname);
    client.on("close", () => {
      this.#closedByClient += 1;
    });
    this.#link(client, (chunk) => server.write(chunk), server);
    this.#link(
      server,
      (chunk) => {
        if (!this.isMute) client.write(chunk);
      },
      client,
    );
  }

  #link(from: Socket, pass: (chunk: Buffer) => void, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("data", pass);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#hanging) from.pause();
  }
}
