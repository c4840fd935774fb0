import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { leash, unleash } from "../../../deploy/leash.ts";
import { StoreClient } from "../../../store/client/client.ts";
import type { KeyValue } from "../../../store/client/types.ts";
import { Event_EventType } from "../../../store/proto/gen/kv.ts";
import { WatchRequest, WatchResponse } from "../../../store/proto/gen/rpc.ts";
import { etcdProgram } from "../../support/etcd.ts";
import { type AnswerKey, parseAnswer, seenKey } from "./etcdctl-register-client.ts";
import type { KeyAt, RevisionReader } from "./revisions.ts";

/** Somebody who follows all keys for as long as it runs. */
export interface Watcher {
  readonly reader: RevisionReader;
  stop(): Promise<void>;
}

/** Our own client's watch, which resumes by itself at the next endpoint. */
export function watchByStoreClient(reader: RevisionReader, endpoints: readonly string[]): Watcher {
  const client = StoreClient.create({ endpoints });
  const stopping = new AbortController();
  const running = (async () => {
    const { signal } = stopping;
    const options = { key: "", prefix: true, startRevision: reader.last + 1, signal };
    for await (const item of client.watch(options)) {
      if (item.kind === "events") {
        reader.hear(item.events.map(({ type, kv }) => keyAt(type === "delete", kv)));
      } else if (item.kind === "compacted") {
        throw new Error(`${reader.name}: history was lost at ${item.compactRevision}, nothing was compacted`);
      }
    }
  })();
  return watcher(reader, running, async () => {
    stopping.abort();
    client.close();
  });
}

const RAW_RETRY_MS = 50;

/**
 * The API's own stream at one member after another: it stays with one until the stream ends, or `change` is called, and
 * goes on at the next with the revision after the last one it has.
 */
export function watchByStream(
  reader: RevisionReader,
  endpoints: readonly string[],
): Watcher & { change(): void } {
  let at = 0;
  let call: ReturnType<typeof openWatch> | undefined;
  let isOver = false;
  const running = (async () => {
    for (; !isOver; at += 1) {
      call = openWatch(endpoints[at % endpoints.length] ?? "", reader.last + 1);
      try {
        for await (const response of call.responses) {
          if (response.canceled) break;
          reader.hear(
            response.events.map(({ type, kv }) => keyAt(type === Event_EventType.DELETE, kv ?? NO_KEY)),
          );
        }
      } catch (error) {
        // The member is gone, or has lost its leader, and says so.
        if (!(error instanceof Error && "code" in error)) throw error;
      } finally {
        call.close();
      }
      await sleep(RAW_RETRY_MS);
    }
  })();
  const change = () => call?.close();
  return {
    ...watcher(reader, running, async () => {
      isOver = true;
      change();
    }),
    change,
  };
}

/** What one member itself tells of (after, upTo]; throws when it is not there in time. */
export async function readHistory(
  reader: RevisionReader,
  endpoint: string,
  options: { readonly upTo: number; readonly timeoutMs: number },
): Promise<void> {
  if (reader.last >= options.upTo) return;
  const call = openWatch(endpoint, reader.last + 1);
  const timer = setTimeout(() => call.close(), options.timeoutMs);
  try {
    for await (const response of call.responses) {
      reader.hear(
        response.events.map(({ type, kv }) => keyAt(type === Event_EventType.DELETE, kv ?? NO_KEY)),
      );
      if (reader.last >= options.upTo) return;
    }
  } catch (error) {
    throw new Error(`${reader.name}: it told of ${reader.last}, expected ${options.upTo}: ${String(error)}`);
  } finally {
    clearTimeout(timer);
    call.close();
  }
}

/** The real Go etcdctl, one process for the whole time: etcd's own client decides when it goes to another member. */
export async function watchByEtcdctl(reader: RevisionReader, endpoints: readonly string[]): Promise<Watcher> {
  const child = spawn(
    await etcdProgram("etcdctl"),
    ["watch", "--prefix", "", `--rev=${reader.last + 1}`, "-w=json", `--endpoints=${endpoints.join(",")}`],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  await once(child, "spawn");
  const { pid } = child;
  if (pid !== undefined) leash(pid);
  const exited = once(child, "exit");
  let isOver = false;
  const running = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const answer = parseAnswer<WatchAnswer>(line);
      reader.hear((answer.Events ?? []).map(({ type, kv }) => asKeyAt(type === 1, seenKey(kv))));
    }
    await exited;
    if (pid !== undefined) unleash(pid);
    if (!isOver) throw new Error(`${reader.name}: etcdctl watch ended by itself at ${reader.last}`);
  })();
  return watcher(reader, running, async () => {
    isOver = true;
    child.kill();
  });
}

interface WatchAnswer {
  readonly Events?: readonly { readonly type?: number; readonly kv: AnswerKey }[];
}

function watcher(reader: RevisionReader, running: Promise<void>, end: () => Promise<void>): Watcher {
  let failure: unknown;
  let isStopping = false;
  const ended = running.catch((error: unknown) => {
    if (!isStopping) failure = error;
  });
  return {
    reader,
    stop: async () => {
      isStopping = true;
      await end();
      await ended;
      if (failure !== undefined) throw failure;
    },
  };
}

/** One stream on a connection of its own. */
function openWatch(
  endpoint: string,
  startRevision: number,
): { readonly responses: AsyncIterable<WatchResponse>; close(): void } {
  const client = new Client(endpoint.replace(/^http:\/\//, ""), credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,
  });
  const metadata = new Metadata();
  metadata.set("hasleader", "true");
  const call = client.makeBidiStreamRequest(
    "/etcdserverpb.Watch/Watch",
    (message: WatchRequest) => Buffer.from(WatchRequest.encode(message).finish()),
    (bytes: Buffer) => WatchResponse.decode(bytes),
    metadata,
  );
  // Iteration throws the same; behind it, it is the answer to our own close.
  call.on("error", () => undefined);
  const all = { key: Buffer.alloc(1), rangeEnd: Buffer.alloc(1), startRevision };
  call.write(WatchRequest.fromPartial({ requestUnion: { $case: "createRequest", value: all } }));
  return {
    responses: call as AsyncIterable<WatchResponse>,
    close: () => {
      call.cancel();
      client.close();
    },
  };
}

const NO_KEY: KeyValue = {
  key: Buffer.alloc(0),
  value: Buffer.alloc(0),
  createRevision: 0,
  modRevision: 0,
  version: 0,
  lease: 0n,
};

function keyAt(isDelete: boolean, kv: KeyValue): KeyAt {
  const { key, value, createRevision, modRevision: revision, version, lease } = kv;
  return asKeyAt(isDelete, {
    key: key.toString(),
    value: value.toString(),
    revision,
    createRevision,
    version,
    lease,
  });
}

function asKeyAt(isDelete: boolean, kv: KeyAt & { readonly value: string }): KeyAt {
  if (!isDelete) return kv;
  return { key: kv.key, revision: kv.revision, value: undefined, createRevision: 0, version: 0, lease: 0n };
}
