import { once } from "node:events";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Replica } from "../replica/replica.ts";
import type { WatchHub } from "../watch/types.ts";
import type { ResponseHeaders } from "./response-header.ts";
import type { Handler, ServiceTable } from "./service.ts";
import type { StepPump } from "./step-pump.ts";
import { WatchStream } from "./watch-stream.ts";

export interface WatchServiceOptions {
  readonly replica: Replica;
  readonly hub: WatchHub;
  readonly headers: ResponseHeaders;
  /** Moves watchers that are behind forward; kicked whenever there may be one. */
  readonly catchUp: StepPump;
  readonly clock: Clock;
  readonly random: Random;
  /** How often a watcher that asked for it and got no events is told how far it is. */
  readonly progressIntervalMs: number;
  /** Size above which a response is cut, where it may be. */
  readonly responseBytesMax: number;
  /** Bytes of responses that wait for a slow client, by stream, before its watchers are set aside. */
  readonly streamBufferBytesMax: number;
}

/** The service Watch (etcd rpc.proto): any number of watchers on one stream. */
export function watchService(options: WatchServiceOptions): ServiceTable {
  return new Map<string, Handler>([
    [
      "/etcdserverpb.Watch/Watch",
      {
        kind: "stream",
        call: (requests, respond, { signal }) =>
          new WatchStream(options, respond).serve(untilCancelled(requests, signal)),
      },
    ],
  ]);
}

/**
 * The requests, and then nothing until the call is over, which throws the signal's reason: a client that has said all it
 * wants to say goes on receiving events (as in etcd; grpcurl ends its side at once).
 */
async function* untilCancelled(
  requests: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield* requests;
  if (!signal.aborted) await once(signal, "abort");
  throw signal.reason;
}
