import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { CodedError, errorMessage } from "../../base/errors.ts";
import { hostPortText } from "../../base/host-port.ts";
import type { ListenAddress } from "../../conf/store-settings.ts";
import { RangeRequest } from "../proto/gen/rpc.ts";
import { NONE } from "../raft/types.ts";
import type { Replica } from "../replica/replica.ts";
import { alarmName } from "./alarm-name.ts";
import type { StoreMetrics } from "./metrics.ts";
import { ETCD_API_VERSION, ETCD_MINOR_VERSION } from "./version.ts";

/** How long a health check may wait for a read. */
const CHECK_LIMIT_MS = 5_000;

/**
 * etcd's endpoints for people, probes and scrapers: /health, /livez, /readyz, /version, /metrics. etcd has them on the
 * client URLs too; here those carry gRPC alone, and these are on --listen-metrics-urls and --listen-client-http-urls.
 */
export class HttpEndpoints {
  readonly #replica: Replica;
  readonly #metrics: StoreMetrics;
  readonly #servers: Server[] = [];

  constructor(options: { readonly replica: Replica; readonly metrics: StoreMetrics }) {
    this.#replica = options.replica;
    this.#metrics = options.metrics;
  }

  /** Listens and resolves with the port. Rejects with Node's error (EADDRINUSE, EACCES, …). */
  listen(address: ListenAddress): Promise<number> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        send(response, 500, "text/plain", `${errorMessage(error)}\n`);
      });
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address.host, port: address.port }, () => {
        const bound = server.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
      });
    });
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const open = this.#servers.splice(0).filter((server) => server.listening);
    await Promise.all(
      open.map((server) => {
        server.closeAllConnections();
        return new Promise<void>((resolve) => server.close(() => resolve()));
      }),
    );
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://store");
    if (request.method !== "GET" && request.method !== "HEAD") {
      return send(response, 405, "text/plain", "Method Not Allowed\n");
    }
    switch (pathname) {
      case "/health": {
        const reason = await this.#unhealthy(searchParams);
        const body = JSON.stringify({ health: String(reason === ""), reason });
        return send(response, reason === "" ? 200 : 503, "application/json", body);
      }
      case "/livez":
        return send(response, 200, "text/plain", "ok\n");
      case "/readyz": {
        const reason = await this.#unhealthy(searchParams);
        return send(
          response,
          reason === "" ? 200 : 503,
          "text/plain",
          reason === "" ? "ok\n" : `${reason}\n`,
        );
      }
      case "/version": {
        const versions = {
          etcdserver: ETCD_API_VERSION,
          etcdcluster: ETCD_MINOR_VERSION,
          storage: ETCD_MINOR_VERSION,
        };
        return send(response, 200, "application/json", JSON.stringify(versions));
      }
      case "/metrics": {
        const { registry } = this.#metrics;
        return send(response, 200, registry.contentType, await registry.metrics());
      }
      default:
        return send(response, 404, "text/plain", "404 page not found\n");
    }
  }

  /** Why the member is not healthy, in etcd's words; empty when it is. `exclude` names alarms that do not count. */
  async #unhealthy(query: URLSearchParams): Promise<string> {
    const excluded = new Set(query.getAll("exclude"));
    for (const { alarm } of this.#replica.state.alarms) {
      const name = alarmName(alarm) ?? "UNKNOWN";
      if (!excluded.has(name)) return `ALARM ${name}`;
    }
    const isSerializable = query.get("serializable") === "true";
    if (!isSerializable && this.#replica.status.leader === NONE) return "RAFT NO LEADER";
    try {
      if (!isSerializable) await this.#replica.readIndex({ signal: AbortSignal.timeout(CHECK_LIMIT_MS) });
      const read = this.#replica.state.range(
        RangeRequest.fromPartial({ key: Buffer.from("health"), limit: 1 }),
      );
      for (let step = read.next(); step.done !== true; ) step = read.next();
      return "";
    } catch (error) {
      return `RANGE ERROR:${errorMessage(error)}`;
    }
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type });
  response.end(body);
}

/** A failure to listen in a sentence that names the address and the flag it came from. */
export function listenError(address: ListenAddress, error: unknown): CodedError<"ELISTEN"> {
  const reason = errorMessage(error);
  const why = reason.includes("EADDRINUSE")
    ? "the port is in use by another process"
    : reason.includes("EACCES")
      ? "this user may not listen on that port"
      : reason.includes("EADDRNOTAVAIL")
        ? "this machine does not have that address"
        : reason;
  return new CodedError(
    "ELISTEN",
    `Cannot listen on ${hostPortText(address)} (--${address.flag} ${address.url}): ${why}`,
    { cause: error },
  );
}
