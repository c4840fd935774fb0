import { errorCode, errorMessage } from "../../base/errors.ts";
import type { CallContext, Handler, ServiceTable } from "../../store/server/service.ts";
import type { Chance } from "./chance.ts";
import type { SimProcess } from "./sim-process.ts";

/** A member as clients see it: a process that listens, with a table of services. */
export interface Endpoint {
  readonly name: string;
  readonly process: SimProcess;
  readonly table: ServiceTable;
  /** It serves nobody any more. */
  isClosed: boolean;
  /** What breaks when it closes. */
  readonly connections: Set<() => void>;
}

export type Answer =
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  /** `code` of the store's error; "unreachable", "broken" (the connection) or "deadline" where there is none. */
  | { readonly kind: "error"; readonly code: string; readonly message: string };

/** Breaks what is open to it, and takes nothing more. */
export function closeEndpoint(endpoint: Endpoint): void {
  endpoint.isClosed = true;
  for (const onBroken of endpoint.connections) onBroken();
  endpoint.connections.clear();
}

/** A call that is under way at a client; what its member still sends after it has ended goes nowhere. */
export interface OpenStream {
  close(): void;
}

const GONE = new Error("the client has gone");

/** A client's calls: requests and answers take time, connections break, and nobody waits for ever. */
export class Caller {
  /** Of the clients; never dies. */
  readonly process: SimProcess;
  readonly #chance: Chance;
  readonly #delayMs: number;

  constructor(options: { readonly process: SimProcess; readonly chance: Chance; readonly delayMs: number }) {
    this.process = options.process;
    this.#chance = options.chance;
    this.#delayMs = options.delayMs;
  }

  /** One request, one answer; of a stream method, the first. */
  call(
    endpoint: Endpoint | undefined,
    path: string,
    request: Uint8Array,
    options: { readonly timeoutMs: number },
  ): Promise<Answer> {
    return new Promise((resolve) => {
      const end = (answer: Answer) => {
        stream.close();
        this.process.cancel(timer);
        resolve(answer);
      };
      const timer = this.process.after(options.timeoutMs, () => end(error("deadline", "the client gave up")));
      const stream = this.open(endpoint, path, request, {
        onMessage: (bytes) => end({ kind: "answer", bytes }),
        onEnd: (code, message) => end(error(code, message)),
      });
    });
  }

  /** A stream with one request; `onEnd` is told once, unless the client has closed it. */
  open(
    endpoint: Endpoint | undefined,
    path: string,
    request: Uint8Array,
    on: {
      readonly onMessage: (bytes: Uint8Array) => void;
      readonly onEnd: (code: string, message: string) => void;
      /** How long the client takes for a message: backpressure. */
      readonly slownessMs?: number;
    },
  ): OpenStream {
    let isOver = false;
    let arrivalMs = 0;
    /** What comes on one connection comes in order. */
    const arrive = (run: () => void) => {
      arrivalMs = Math.max(arrivalMs, this.process.nowMs + this.#delay());
      this.process.after(arrivalMs - this.process.nowMs, () => {
        if (!isOver) run();
      });
    };
    const end = (code: string, message: string) =>
      arrive(() => {
        isOver = true;
        on.onEnd(code, message);
      });
    if (endpoint === undefined || endpoint.isClosed || endpoint.process.isDead) {
      end("unreachable", "nobody listens");
      return { close: () => (isOver = true) };
    }
    const { process } = endpoint;
    const aborting = new AbortController();
    const onBroken = () => end("broken", "the connection broke");
    const forget = process.onEnd(onBroken);
    endpoint.connections.add(onBroken);
    process.after(this.#delay(), () => {
      const respond = (bytes: Uint8Array): Promise<void> => {
        arrive(() => on.onMessage(bytes));
        return process.delay(on.slownessMs ?? 0);
      };
      const context: CallContext = { metadata: new Map(), signal: aborting.signal, peer: "sim" };
      if (endpoint.isClosed) return;
      serve(endpoint.table.get(path), request, respond, context).then(
        () => end("ok", "the member ended the stream"),
        (reason: unknown) => end(errorCode(reason) ?? "error", errorMessage(reason)),
      );
    });
    return {
      close: () => {
        isOver = true;
        forget();
        endpoint.connections.delete(onBroken);
        process.after(this.#delay(), () => aborting.abort(GONE));
      },
    };
  }

  #delay(): number {
    return this.#chance.longTail(this.#delayMs);
  }
}

async function serve(
  handler: Handler | undefined,
  request: Uint8Array,
  respond: (bytes: Uint8Array) => Promise<void>,
  context: CallContext,
): Promise<void> {
  if (handler === undefined) throw new Error("no such method");
  if (handler.kind === "stream") await handler.call(once(request), respond, context);
  else await respond(await handler.call(request, context));
}

async function* once(request: Uint8Array): AsyncGenerator<Uint8Array> {
  yield request;
}

function error(code: string, message: string): Answer {
  return { kind: "error", code, message };
}
