import type { Server, Socket } from "node:net";
import { errorMessage } from "../../base/errors.ts";
import { idText } from "../raft/id-text.ts";
import { FrameChannel } from "./frame-channel.ts";
import { decodeHello, encodeAnswer, type Hello, type Refusal } from "./handshake.ts";
import { LogLimits } from "./log-limits.ts";
import type { PeerContext } from "./peer-context.ts";
import { PeerError } from "./peer-error.ts";
import { listen, type PeerAddress } from "./peer-socket.ts";
import { describeStranger, HTTP_REFUSAL, isHttp } from "./stranger.ts";

/** Who decides about connections that came in, and has them from then on. */
export interface PeerGate {
  /** Undefined: welcome. */
  judge(hello: Hello): Refusal | undefined;
  /** Behind the handshake; the channel is its own to close. */
  admit(hello: Hello, channel: FrameChannel): void;
}

/** The ports that members dial. */
export class PeerListener {
  readonly #context: PeerContext;
  readonly #gate: PeerGate;
  readonly #servers: Server[] = [];
  /** Connections that have not said who they are, or were refused. */
  readonly #strangers = new Set<FrameChannel>();
  readonly #logLimits: LogLimits;
  #isClosed = false;

  constructor(context: PeerContext, gate: PeerGate) {
    this.#context = context;
    this.#gate = gate;
    const { clock, limits } = context;
    this.#logLimits = new LogLimits({ clock, intervalMs: limits.strangerLogMs });
  }

  /** Listens and resolves with the port. Rejects with Node's error (EADDRINUSE, EACCES, …). */
  async listen(address: PeerAddress): Promise<number> {
    const { server, port } = await listen(address, (socket) => this.#accept(socket));
    // Out of file descriptors, say: it goes on listening.
    server.on("error", (error) =>
      this.#logStranger("the peer port could not take a connection", { reason: errorMessage(error) }),
    );
    this.#servers.push(server);
    return port;
  }

  /** Idempotent. Connections that were admitted are not its own. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closed = this.#servers
      .splice(0)
      .map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const channel of this.#strangers)
      channel.destroy(new PeerError("EPEERCLOSED", "The member is closing"));
    await Promise.all(closed);
  }

  #accept(socket: Socket): void {
    const { later, limits } = this.#context;
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    // The one that had the longest time to speak makes room. Were the newest refused instead, a few that say nothing would
    // keep the members out, who say who they are at once.
    const oldest = this.#strangers.values().next().value;
    if (oldest !== undefined && this.#strangers.size >= limits.strangersMax) {
      this.#strangers.delete(oldest);
      oldest.destroy(
        new PeerError(
          "EPEERTIMEOUT",
          `more than ${limits.strangersMax} connections have not said who they are`,
        ),
      );
    }
    const channel = new FrameChannel(socket, { later, limits });
    this.#strangers.add(channel);
    const timer = setTimeout(() => {
      channel.destroy(new PeerError("EPEERTIMEOUT", `no hello within ${limits.helloMs} ms`));
    }, limits.helloMs);
    channel
      .read()
      .then((frame) => this.#greet(channel, decodeHello(frame)))
      .catch((error: unknown) => this.#reject(channel, error))
      .finally(() => clearTimeout(timer));
    void channel.closed.then(() => this.#strangers.delete(channel));
  }

  #greet(channel: FrameChannel, hello: Hello): void {
    const refusal = this.#gate.judge(hello);
    this.#answer(channel, refusal);
    if (refusal === undefined) {
      this.#strangers.delete(channel);
      this.#gate.admit(hello, channel);
      return;
    }
    this.#logRefusal(channel, hello, refusal);
    channel.end();
  }

  /** Of what went wrong before there was a hello. A bug is not held back. */
  #reject(channel: FrameChannel, error: unknown): void {
    if (!(error instanceof PeerError)) throw error;
    const { head, remote } = channel;
    if (error.code === "EPEERVERSION") this.#answer(channel, "version");
    else if (error.code === "EPEERMESSAGE") this.#answer(channel, "malformed");
    else if (isHttp(head)) channel.write(HTTP_REFUSAL);
    channel.end();
    if (this.#isClosed) return;
    if (error.code === "EPEERCLOSED" && head.length === 0) {
      // A port probe, most often.
      this.#context.logger.debug(
        { remote },
        "connection on the peer port was closed before it said anything",
      );
      return;
    }
    const sent = describeStranger(head);
    this.#logStranger("rejected connection on the peer port", { remote, reason: error.message, sent });
  }

  #answer(channel: FrameChannel, refusal: Refusal | undefined): void {
    const { clusterId, id } = this.#context;
    channel.write(encodeAnswer({ refusal, clusterId, memberId: id }));
  }

  #logRefusal(channel: FrameChannel, hello: Hello, refusal: Refusal): void {
    const suppressed = this.#logLimits.admit(REFUSING[refusal]);
    if (suppressed === undefined) return;
    this.#context.logger.warn(
      {
        remote: channel.remote,
        peer: idText(hello.from),
        target: idText(hello.to),
        member: idText(this.#context.id),
        peerCluster: idText(hello.clusterId),
        cluster: idText(this.#context.clusterId),
        suppressed,
      },
      REFUSING[refusal],
    );
  }

  #logStranger(what: string, fields: object): void {
    const suppressed = this.#logLimits.admit(what);
    if (suppressed !== undefined) this.#context.logger.warn({ ...fields, suppressed }, what);
  }
}

/** etcd's words where it has them. */
const REFUSING: Readonly<Record<Refusal, string>> = {
  cluster: "request cluster ID mismatch",
  removed: "rejected connection from remote peer because it was removed",
  unknown: "failed to find remote peer in cluster",
  target: "ignored connection; ID mismatch",
  busy: "rejected a second snapshot from remote peer",
  version: "failed version compatibility check",
  malformed: "could not read the handshake of remote peer",
};
