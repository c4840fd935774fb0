import { etcdctl } from "../../support/etcd.ts";
import type { Reply, SeenKey } from "./history.ts";
import type { RegisterClient, Span } from "./register-client.ts";

/** The real Go etcdctl over all endpoints, a process a call. */
export class EtcdctlRegisterClient implements RegisterClient {
  readonly name: string;
  readonly #endpoints: string;

  constructor(name: string, endpoints: readonly string[]) {
    this.name = name;
    this.#endpoints = endpoints.join(",");
  }

  put(keys: readonly string[], value: string): Promise<Reply<{ readonly revision: number }>> {
    const [first = "", ...others] = keys;
    const puts = keys.map((key) => `put ${key} ${value}`).join("\n");
    const args = others.length === 0 ? ["put", first, value] : ["txn"];
    return this.#run(args, ({ header }) => ({ revision: header.revision }), `\n${puts}\n\n\n`);
  }

  delete(key: string): Promise<Reply<{ readonly revision: number; readonly deleted: number }>> {
    return this.#run(["del", key], ({ header, deleted = 0 }) => ({ revision: header.revision, deleted }));
  }

  swap(key: string, expected: number, value: string): ReturnType<RegisterClient["swap"]> {
    const script = `mod("${key}") = "${expected}"\n\nput ${key} ${value}\n\nget ${key}\n\n`;
    return this.#run(
      ["txn"],
      ({ header, succeeded = false, responses }) => ({
        revision: header.revision,
        succeeded,
        kvs: (responses?.[0]?.Response?.response_range?.kvs ?? []).map(seenKey),
      }),
      script,
    );
  }

  read(span: Span, { stale }: { readonly stale: boolean }): ReturnType<RegisterClient["read"]> {
    const keys = "prefix" in span ? [span.prefix, "--prefix"] : [span.key];
    return this.#run(["get", ...keys, `--consistency=${stale ? "s" : "l"}`], ({ header, kvs }) => ({
      revision: header.revision,
      kvs: (kvs ?? []).map(seenKey),
    }));
  }

  [Symbol.dispose](): void {
    // Nothing stays open between two calls.
  }

  async #run<Result>(
    args: readonly string[],
    result: (answer: Answer) => Result,
    stdin?: string,
  ): Promise<Reply<Result>> {
    const { code, stdout, stderr } = await etcdctl(
      [...args, "-w=json", "--command-timeout=4s", "--dial-timeout=1s"],
      { endpoint: this.#endpoints, ...(stdin === undefined ? {} : { stdin }) },
    );
    if (code === 0) return { kind: "done", ...result(parseAnswer<Answer>(stdout)) };
    // It prints no code, and a message of its own behind the store's: what became of it stays open.
    return { kind: "unknown", code: stderr.trim() };
  }
}

interface Answer {
  readonly header: { readonly revision: number };
  readonly deleted?: number;
  readonly succeeded?: boolean;
  readonly kvs?: readonly AnswerKey[];
  readonly responses?: readonly {
    readonly Response?: { readonly response_range?: { readonly kvs?: readonly AnswerKey[] } };
  }[];
}

/** A key as `etcdctl -w json` prints it; numbers that are 0 are left out. */
export interface AnswerKey {
  readonly key: string;
  readonly value?: string;
  readonly create_revision?: number;
  readonly mod_revision?: number;
  readonly version?: number;
  readonly lease?: bigint;
}

/** Revisions stay below 2^53 here; a lease's id does not. */
export function parseAnswer<Shape>(json: string): Shape {
  const revive = (key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    key === "lease" && context?.source !== undefined ? BigInt(context.source) : value;
  return JSON.parse(json, revive) as Shape;
}

export function seenKey(kv: AnswerKey): SeenKey {
  return {
    key: Buffer.from(kv.key, "base64").toString(),
    value: Buffer.from(kv.value ?? "", "base64").toString(),
    revision: kv.mod_revision ?? 0,
    createRevision: kv.create_revision ?? 0,
    version: kv.version ?? 0,
    lease: kv.lease ?? 0n,
  };
}
