import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { SoftState } from "../../../store/raft/types.ts";
import { LeaderLoss } from "../../../store/server/leader-loss.ts";
import { requireLeader } from "../../../store/server/require-leader.ts";
import type { CallContext, Handler } from "../../../store/server/service.ts";
import { SettlingClock } from "../../support/settling-clock.ts";
import { ClusterBed, started } from "./cluster-bed.ts";

const ELECTION_MS = 1_000;

/** A table behind requireLeader(), at a member whose leader the test names. */
class LeaderBed {
  readonly clock = new SettlingClock();
  readonly #bed = new ClusterBed([started(1n)]);
  readonly #listeners = new Set<(state: SoftState) => void>();
  readonly leaderLoss: LeaderLoss;
  readonly table;
  answered = 0;

  constructor(leader: bigint) {
    this.#bed.leader = leader;
    const self = this;
    const replica = {
      get status() {
        return self.#bed.replica.status;
      },
      onLeadership: (listener: (state: SoftState) => void) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
    };
    this.leaderLoss = new LeaderLoss({ replica, clock: this.clock, electionMs: ELECTION_MS });
    const echo: Handler = {
      kind: "stream",
      call: async (requests, respond) => {
        for await (const bytes of requests) await respond(bytes);
      },
    };
    const unary: Handler = { kind: "unary", call: async (bytes) => bytes };
    this.table = requireLeader(
      new Map<string, Handler>([
        ["/unary", unary],
        ["/stream", echo],
      ]),
      { replica, leaderLoss: this.leaderLoss },
    );
  }

  follow(leader: bigint): void {
    this.#bed.leader = leader;
    for (const listener of this.#listeners) listener(this.#bed.replica.status);
  }

  unary(context: CallContext): Promise<Uint8Array> {
    const handler = this.table.get("/unary");
    assert.ok(handler?.kind === "unary");
    return handler.call(Buffer.from("x"), context);
  }

  stream(requests: AsyncIterable<Uint8Array>, context: CallContext): Promise<void> {
    const handler = this.table.get("/stream");
    assert.ok(handler?.kind === "stream");
    const respond = async () => {
      this.answered += 1;
    };
    return handler.call(requests, respond, context);
  }
}

function asking(required: boolean, signal = new AbortController().signal): CallContext {
  const metadata = new Map<string, string>(required ? [["hasleader", "true"]] : []);
  return { metadata, signal, peer: "test" };
}

/** One request, and then none until the call is over. */
async function* silent(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield Buffer.from("x");
  if (!signal.aborted) await once(signal, "abort");
  throw signal.reason;
}

async function* none(): AsyncGenerator<Uint8Array> {
  // No requests.
}

test("requireLeader() refuses calls that ask for a leader while there is none, and passes all others", async () => {
  const bed = new LeaderBed(0n);
  await using _ = bed.leaderLoss;
  await assert.rejects(bed.unary(asking(true)), { code: "NoLeader" });
  await assert.rejects(bed.stream(none(), asking(true)), { code: "NoLeader" });
  await bed.unary(asking(false));
  await bed.stream(none(), asking(false));
  bed.follow(2n);
  await bed.unary(asking(true));
  await bed.stream(none(), asking(true));
});

test("requireLeader() ends streams that ask for a leader three election timeouts after it is lost, and only those", async () => {
  const bed = new LeaderBed(2n);
  await using _ = bed.leaderLoss;
  const call = new AbortController();
  const ends: string[] = [];
  const open = (name: string, required: boolean) =>
    bed.stream(silent(call.signal), asking(required, call.signal)).then(
      () => ends.push(`${name}: ok`),
      (error: Error) => ends.push(`${name}: ${error.message}`),
    );
  const streams = [open("led", true), open("free", false)];
  await bed.clock.advance(10 * ELECTION_MS);
  assert.equal(bed.answered, 2);
  bed.follow(0n);
  await bed.clock.advance(2.5 * ELECTION_MS);
  bed.follow(3n);
  await bed.clock.advance(10 * ELECTION_MS);
  assert.deepEqual(ends, []);
  bed.follow(0n);
  await bed.clock.advance(3 * ELECTION_MS);
  assert.deepEqual(ends, ["led: etcdserver: no leader"]);
  call.abort(new Error("gone"));
  await Promise.all(streams);
  assert.deepEqual(ends, ["led: etcdserver: no leader", "free: gone"]);
});

test("requireLeader() ends a stream with its client", async () => {
  const bed = new LeaderBed(2n);
  await using _ = bed.leaderLoss;
  const call = new AbortController();
  const stream = assert.rejects(bed.stream(silent(call.signal), asking(true, call.signal)), {
    message: "gone",
  });
  await bed.clock.advance(0);
  call.abort(new Error("gone"));
  await stream;
});
