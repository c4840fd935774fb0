import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { FrameDecoder } from "../../../store/peer/frame.ts";
import { decodeHello, HANDSHAKE_BYTES_MAX, type Hello } from "../../../store/peer/handshake.ts";

/** Between the dialler of a connection and its listener; who dialled is read from the hello that passes. */
interface Wire {
  readonly hello: Hello;
  readonly end: () => void;
}

/** What other members reach one member through, so that a test can part them. */
export class PeerWires implements AsyncDisposable {
  readonly #server: Server;
  readonly #port: number;
  readonly #wires = new Set<Wire>();
  readonly #sockets = new Set<Socket>();
  #mayPass: (hello: Hello) => boolean = () => true;

  private constructor(port: number) {
    this.#port = port;
    this.#server = createServer((socket) => this.#join(socket));
  }

  /** `port`: where the member listens. */
  static async start(port: number): Promise<PeerWires> {
    const wires = new PeerWires(port);
    wires.#server.listen(0, "127.0.0.1");
    await once(wires.#server, "listening");
    return wires;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on only these connections; others are broken, and broken again. */
  allow(mayPass: (hello: Hello) => boolean): void {
    this.#mayPass = mayPass;
    for (const { hello, end } of this.#wires) if (!mayPass(hello)) end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(dialler: Socket): void {
    const listener = connect(this.#port, "127.0.0.1");
    const decoder = new FrameDecoder(HANDSHAKE_BYTES_MAX);
    let wire: Wire | undefined;
    const end = () => {
      dialler.destroy();
      listener.destroy();
      if (wire !== undefined) this.#wires.delete(wire);
    };
    for (const socket of [dialler, listener]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    listener.on("data", (chunk) => dialler.write(chunk));
    dialler.on("data", (chunk: Buffer) => {
      if (wire === undefined) {
        decoder.push(Buffer.from(chunk));
        const frame = decoder.next();
        if (frame === undefined) return void listener.write(chunk);
        wire = { hello: decodeHello(frame), end };
        this.#wires.add(wire);
        if (!this.#mayPass(wire.hello)) return end();
      }
      listener.write(chunk);
    });
  }
}
