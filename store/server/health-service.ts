import { GRPC_CODE } from "../proto/errors.ts";
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  HealthListResponse,
} from "../proto/gen/health.ts";
import { decodeRequest } from "./decode-request.ts";
import { CallError, type Handler, type ServiceTable } from "./service.ts";

/** The server as a whole, the one service that is known by name (as in etcd). */
const WHOLE_SERVER = "";

/** Whether the server serves, told to those who watch. */
export class ServingState {
  #isServing = true;
  readonly #listeners = new Set<() => void>();

  get isServing(): boolean {
    return this.#isServing;
  }

  /** From now on the server does not serve (it is stopping). */
  stop(): void {
    this.#isServing = false;
    for (const listener of this.#listeners) listener();
  }

  /** Resolves at the next change, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#listeners.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#listeners.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

/** gRPC's health service (grpc.health.v1): Check, List and Watch, for probes and load balancers. */
export function healthService(serving: ServingState): ServiceTable {
  const now = () => ({
    status: serving.isServing
      ? HealthCheckResponse_ServingStatus.SERVING
      : HealthCheckResponse_ServingStatus.NOT_SERVING,
  });
  return new Map<string, Handler>([
    [
      "/grpc.health.v1.Health/Check",
      {
        kind: "unary",
        call: async (bytes) => {
          const { service } = decodeRequest(HealthCheckRequest, bytes);
          if (service !== WHOLE_SERVER) throw new CallError(GRPC_CODE.notFound, "unknown service");
          return HealthCheckResponse.encode(now()).finish();
        },
      },
    ],
    [
      "/grpc.health.v1.Health/List",
      {
        kind: "unary",
        call: async () => HealthListResponse.encode({ statuses: { [WHOLE_SERVER]: now() } }).finish(),
      },
    ],
    [
      "/grpc.health.v1.Health/Watch",
      {
        kind: "stream",
        call: async (requests, respond, { signal }) => {
          for await (const bytes of requests) {
            const { service } = decodeRequest(HealthCheckRequest, bytes);
            const isKnown = service === WHOLE_SERVER;
            const unknown = { status: HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN };
            while (!signal.aborted) {
              await respond(HealthCheckResponse.encode(isKnown ? now() : unknown).finish());
              await serving.changed(signal);
            }
          }
        },
      },
    ],
  ]);
}
