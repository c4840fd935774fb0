import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CodedError, errorCode, errorMessage } from "../../base/errors.ts";
import { hostPortText, splitHostPort } from "../../base/host-port.ts";
import type { Logger } from "../../base/log.ts";
import type { AgentView } from "./agent-view.ts";
import { flagsOf, problemsOf } from "./build-status.ts";
import type { AgentMetrics } from "./metrics.ts";
import { unreadyReasons } from "./readiness.ts";

/** The agent's own HTTP: `/healthz`, `/readyz`, `/metrics` and `/tasks`, to be read only. */
export interface StatusServer extends AsyncDisposable {
  /** `host:port` it listens on. */
  readonly address: string;
  /** Idempotent. */
  close(): Promise<void>;
}

interface Answer {
  readonly code: number;
  readonly contentType: string;
  readonly body: string;
}

const TEXT = "text/plain; charset=utf-8";
/** Nobody has a reason to hold more connections to it at one time. */
const CONNECTIONS_MAX = 100;

/** Listens on `address` (`host:port`, port 0: any). Throws CodedError "ELISTEN" that says why it cannot. */
export async function startStatusServer(options: {
  readonly address: string;
  readonly view: AgentView;
  readonly metrics: AgentMetrics;
  readonly log: Logger;
}): Promise<StatusServer> {
  const { address, view, metrics, log } = options;
  const server = createServer((request, response) => {
    void answer(request, view, metrics)
      .catch((error: unknown): Answer => {
        log.warn({ url: request.url, reason: errorMessage(error) }, "http request failed");
        return { code: 500, contentType: TEXT, body: `${errorMessage(error)}\n` };
      })
      .then((result) => send(request, response, result));
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, address);
  // Without a listener a connection that cannot be taken would end the agent.
  server.on("error", (error) => log.warn({ reason: errorMessage(error) }, "http connection not taken"));
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    return closed;
  };
  return { address: shownAddress(server), close, [Symbol.asyncDispose]: close };
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(listenError(address, error));
    server.once("error", onError);
    server.listen(splitHostPort(address), () => {
      server.off("error", onError);
      resolve();
    });
  });
}

function listenError(address: string, error: unknown): CodedError<"ELISTEN"> {
  const reason =
    errorCode(error) === "EADDRINUSE"
      ? "the port is in use, expected a free one (is another agent running?)"
      : errorMessage(error);
  return new CodedError("ELISTEN", `Cannot listen on http: ${address}: ${reason}`, { cause: error });
}

function shownAddress(server: Server): string {
  const { address: host, port } = server.address() as AddressInfo;
  return hostPortText({ host, port });
}

async function answer(request: IncomingMessage, view: AgentView, metrics: AgentMetrics): Promise<Answer> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { code: 405, contentType: TEXT, body: "expected GET\n" };
  }
  switch (request.url?.split("?")[0]) {
    case "/healthz":
      return { code: 200, contentType: TEXT, body: "ok\n" };
    case "/readyz": {
      const reasons = unreadyReasons(view);
      const isReady = reasons.length === 0;
      return {
        code: isReady ? 200 : 503,
        contentType: TEXT,
        body: isReady ? "ok\n" : `${reasons.join("\n")}\n`,
      };
    }
    case "/metrics":
      return { code: 200, contentType: metrics.contentType, body: await metrics.text() };
    case "/tasks":
      return { code: 200, contentType: "application/json", body: `${JSON.stringify(tasksOf(view))}\n` };
    default:
      return { code: 404, contentType: TEXT, body: "known are /healthz /readyz /metrics /tasks\n" };
  }
}

function tasksOf(view: AgentView) {
  const tasks = view.tasks();
  return {
    version: view.version,
    ip: view.ip,
    instance: view.instance,
    config: view.config(),
    flags: flagsOf(view, tasks),
    memory: view.memory(),
    tasks: tasks.map((task) => ({ ...task, problems: problemsOf(task, view.topic(task.topic)) })),
  };
}

function send(request: IncomingMessage, response: ServerResponse, { code, contentType, body }: Answer): void {
  response.writeHead(code, { "content-type": contentType, "content-length": Buffer.byteLength(body) });
  response.end(request.method === "HEAD" ? undefined : body);
}
