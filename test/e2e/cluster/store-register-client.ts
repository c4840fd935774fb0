import type { ClientLimits } from "../../../conf/client-config.ts";
import { StoreClient } from "../../../store/client/client.ts";
import { ClientError } from "../../../store/client/client-error.ts";
import type { Operation } from "../../../store/client/operations.ts";
import type { Reply } from "./history.ts";
import { isRefusal, type RegisterClient, type Span, seenKeys } from "./register-client.ts";

/** Our own client, over all endpoints, with the retries and the failover that an agent has. */
export class StoreRegisterClient implements RegisterClient {
  readonly name: string;
  readonly #client: StoreClient;

  constructor(name: string, endpoints: readonly string[], limits: Partial<ClientLimits>) {
    this.name = name;
    this.#client = StoreClient.create({ endpoints, limits });
  }

  put(keys: readonly string[], value: string): Promise<Reply<{ readonly revision: number }>> {
    return reply(async (signal) => {
      const [first = "", ...others] = keys;
      const { header } =
        others.length === 0
          ? await this.#client.put(first, value, { signal })
          : await this.#client.txn({ success: keys.map((key) => putOf(key, value)) }, { signal });
      return { revision: header.revision };
    });
  }

  delete(key: string): Promise<Reply<{ readonly revision: number; readonly deleted: number }>> {
    return reply(async (signal) => {
      const { header, deleted } = await this.#client.delete(key, { signal });
      return { revision: header.revision, deleted };
    });
  }

  swap(key: string, expected: number, value: string): ReturnType<RegisterClient["swap"]> {
    return reply(async (signal) => {
      const { header, succeeded, responses } = await this.#client.txn(
        {
          compare: [{ key, target: "mod", result: "=", operand: expected }],
          success: [putOf(key, value)],
          failure: [{ kind: "range", key }],
        },
        { signal },
      );
      const kvs = responses[0]?.kind === "range" ? seenKeys(responses[0].kvs) : [];
      return { revision: header.revision, succeeded, kvs };
    });
  }

  read(span: Span, { stale: serializable }: { readonly stale: boolean }): ReturnType<RegisterClient["read"]> {
    return reply(async (signal) => {
      const prefix = "prefix" in span;
      const { header, kvs } = await this.#client.range(prefix ? span.prefix : span.key, {
        prefix,
        serializable,
        signal,
      });
      return { revision: header.revision, kvs: seenKeys(kvs) };
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

const NEVER = new AbortController().signal;

async function reply<Result>(call: (signal: AbortSignal) => Promise<Result>): Promise<Reply<Result>> {
  try {
    return { kind: "done", ...(await call(NEVER)) };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    // What may be sent again was not carried out; or it is a read.
    const isHarmless = error.retryable || isRefusal(error.code);
    return { kind: isHarmless ? "failed" : "unknown", code: `${error.code}: ${error.detail}` };
  }
}

function putOf(key: string, value: string): Operation {
  return { kind: "put", key, value };
}
