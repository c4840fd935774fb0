import { connect, createServer, type Server, type Socket } from "node:net";
import { errorCode, errorMessage } from "../../base/errors.ts";
import { withoutBrackets } from "../../base/host-port.ts";
import { PeerError } from "./peer-error.ts";

/** Where sockets between members are made; what secures them comes in here. */

/** TCP keep-alive finds a machine that is gone on a connection that nobody pings. */
const KEEPALIVE_IDLE_MS = 30_000;
const HTTP_PORT = 80;

/** An address to listen on. */
export interface PeerAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** Connects to a peer URL. Rejects with PeerError EPEERURL or EPEERCLOSED, or the signal's reason. */
export function dial(url: string, options: { readonly signal: AbortSignal }): Promise<Socket> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const { host, port } = addressOf(url);
    const socket = connect({ host, port, ...SOCKET_OPTIONS });
    const onAbort = () => socket.destroy(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const onError = (error: unknown) => {
      signal.removeEventListener("abort", onAbort);
      if (signal.aborted) return reject(signal.reason);
      // Node's error for a name with several addresses has a code and no message.
      const reason = errorMessage(error) || (errorCode(error) ?? "no address of it answers");
      reject(new PeerError("EPEERCLOSED", `Cannot connect to ${url}: ${reason}`, { cause: error }));
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

/** Listens, and gives each connection to `onSocket`. Rejects with Node's error (EADDRINUSE, EACCES, …). */
export function listen(
  address: PeerAddress,
  onSocket: (socket: Socket) => void,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true }, onSocket);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve({ server, port: typeof bound === "object" && bound !== null ? bound.port : address.port });
    });
  });
}

const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_IDLE_MS };

function addressOf(url: string): PeerAddress {
  if (!URL.canParse(url)) throw unusable(url, "it is not a URL");
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== "http:") throw unusable(url, `expected http://<host>:<port>, not ${protocol}//`);
  const host = withoutBrackets(hostname);
  return { host, port: port === "" ? HTTP_PORT : Number(port) };
}

function unusable(url: string, reason: string): PeerError {
  return new PeerError("EPEERURL", `Cannot use peer URL "${url}": ${reason}`);
}
