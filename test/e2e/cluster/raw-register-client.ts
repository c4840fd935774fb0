import { storeErrorCode } from "../../../store/client/failure.ts";
import type { KeyValue } from "../../../store/proto/gen/kv.ts";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  type RequestOp,
  TxnRequest,
  TxnResponse,
} from "../../../store/proto/gen/rpc.ts";
import { RawClient } from "../../compat/raw-client.ts";
import type { Reply } from "./history.ts";
import { endOfPrefix, isRefusal, type RegisterClient, type Span, seenKeys } from "./register-client.ts";

/** Calls of the API to one member, each sent once, with a short deadline: what that member itself answers. */
export class RawRegisterClient implements RegisterClient {
  readonly name: string;
  readonly #client: RawClient;
  readonly #timeoutMs: number;

  constructor(name: string, endpoint: string, options: { readonly timeoutMs: number }) {
    this.name = name;
    this.#client = new RawClient(endpoint);
    this.#timeoutMs = options.timeoutMs;
  }

  put(keys: readonly string[], value: string): Promise<Reply<{ readonly revision: number }>> {
    const [first = "", ...others] = keys;
    if (others.length > 0) {
      return this.#reply(async () => {
        const request = { success: keys.map((key) => putOf(key, value)) };
        const { header } = await this.#call("Txn", [TxnRequest, TxnResponse], request);
        return { revision: header?.revision ?? 0 };
      });
    }
    return this.#reply(async () => {
      const request = { key: Buffer.from(first), value: Buffer.from(value) };
      const { header } = await this.#call("Put", [PutRequest, PutResponse], request);
      return { revision: header?.revision ?? 0 };
    });
  }

  delete(key: string): Promise<Reply<{ readonly revision: number; readonly deleted: number }>> {
    return this.#reply(async () => {
      const types = [DeleteRangeRequest, DeleteRangeResponse] as const;
      const { header, deleted } = await this.#call("DeleteRange", types, { key: Buffer.from(key) });
      return { revision: header?.revision ?? 0, deleted };
    });
  }

  swap(key: string, expected: number, value: string): ReturnType<RegisterClient["swap"]> {
    return this.#reply(async () => {
      const { header, succeeded, responses } = await this.#call("Txn", [TxnRequest, TxnResponse], {
        compare: [
          {
            result: Compare_CompareResult.EQUAL,
            target: Compare_CompareTarget.MOD,
            key: Buffer.from(key),
            targetUnion: { $case: "modRevision", value: expected },
            rangeEnd: Buffer.alloc(0),
          },
        ],
        success: [putOf(key, value)],
        failure: [
          {
            request: { $case: "requestRange", value: RangeRequest.fromPartial({ key: Buffer.from(key) }) },
          },
        ],
      });
      const first = responses[0]?.response;
      const kvs: readonly KeyValue[] = first?.$case === "responseRange" ? first.value.kvs : [];
      return { revision: header?.revision ?? 0, succeeded, kvs: seenKeys(kvs) };
    });
  }

  read(span: Span, { stale: serializable }: { readonly stale: boolean }): ReturnType<RegisterClient["read"]> {
    return this.#reply(async () => {
      const range =
        "prefix" in span
          ? { key: Buffer.from(span.prefix), rangeEnd: Buffer.from(endOfPrefix(span.prefix)) }
          : { key: Buffer.from(span.key) };
      const request = { ...range, serializable };
      const { header, kvs } = await this.#call("Range", [RangeRequest, RangeResponse], request);
      return { revision: header?.revision ?? 0, kvs: seenKeys(kvs) };
    });
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  #call<Request, Response>(
    method: string,
    types: Parameters<typeof RawClient.prototype.call<Request, Response>>[1],
    request: object,
  ): Promise<Response> {
    return this.#client.call(`KV/${method}`, types, request, this.#timeoutMs);
  }

  async #reply<Result>(call: () => Promise<Result>): Promise<Reply<Result>> {
    try {
      return { kind: "done", ...(await call()) };
    } catch (error) {
      const details = error instanceof Error && "details" in error ? String(error.details) : String(error);
      const isHarmless =
        isRefusal(storeErrorCode(details)) || details.startsWith("No connection established");
      return { kind: isHarmless ? "failed" : "unknown", code: details };
    }
  }
}

function putOf(key: string, value: string): RequestOp {
  const put = PutRequest.fromPartial({ key: Buffer.from(key), value: Buffer.from(value) });
  return { request: { $case: "requestPut", value: put } };
}
