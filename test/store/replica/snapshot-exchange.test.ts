import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { pino } from "pino";
import type { SnapshotContent } from "../../../store/peer/transport.ts";
import type { SnapshotMessage } from "../../../store/raft/message.ts";
import type { HardState, SnapshotMeta } from "../../../store/raft/types.ts";
import { type OutgoingSnapshot, SnapshotExchange } from "../../../store/replica/snapshot-exchange.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { NO_PEERS, NO_SNAPSHOTS } from "../../support/no-peers.ts";
import { turns } from "./replica-bed.ts";

const CONF_STATE = {
  voters: [1n, 2n],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

function at(index: number): SnapshotMeta {
  return { index, term: 1, confState: CONF_STATE };
}

function message(to: bigint, index = 5): SnapshotMessage {
  return { kind: "snapshot", from: 1n, to, term: 3, snapshot: at(index) };
}

interface Delivery {
  readonly message: SnapshotMessage;
  readonly signal: AbortSignal;
  readonly done: PromiseWithResolvers<void>;
}

/** Snapshots whose making and sending end when the test says so. */
class Bed {
  readonly events: string[] = [];
  readonly logged: Record<string, unknown>[] = [];
  readonly deliveries: Delivery[] = [];
  readonly making: PromiseWithResolvers<void>[] = [];
  readonly clock = new ManualClock();
  readonly exchange: SnapshotExchange;
  isMadeAtOnce = true;

  constructor() {
    this.exchange = new SnapshotExchange({
      store: {
        ...NO_SNAPSHOTS,
        make: ({ signal }) => this.#make(signal),
        install: async ({ index }) => void this.events.push(`install ${index}`),
      },
      wal: {
        reset: async ({
          to,
          hardState,
        }: {
          readonly to: { readonly index: number };
          readonly hardState: HardState;
        }) => {
          this.events.push(`reset to ${to.index}, commit ${hardState.commit}`);
        },
      },
      transport: {
        ...NO_PEERS,
        sendSnapshot: (sent, _content, { signal }) => {
          const done = Promise.withResolvers<void>();
          this.deliveries.push({ message: sent, signal, done });
          return done.promise;
        },
      },
      clock: this.clock,
      logger: pino({ level: "info" }, { write: (line) => void this.logged.push(JSON.parse(line)) }),
      onSent: (to, outcome) => this.events.push(`${outcome} to ${to}`),
    });
  }

  get warnings(): readonly unknown[] {
    return this.logged.filter(({ level }) => level === 40).map(({ reason }) => reason);
  }

  async #make(signal: AbortSignal): Promise<OutgoingSnapshot> {
    const gate = Promise.withResolvers<void>();
    this.making.push(gate);
    signal.addEventListener("abort", () => gate.reject(signal.reason), { once: true });
    if (this.isMadeAtOnce) gate.resolve();
    await gate.promise;
    return { meta: at(7), content: CONTENT, remove: async () => void this.events.push("removed") };
  }
}

const CONTENT: SnapshotContent = {
  bytes: 1,
  body: (async function* () {
    yield Buffer.of(7);
  })(),
};

suite("SnapshotExchange.send()", () => {
  test("sends what is made now with what it holds, removes the copy, and tells", async () => {
    const bed = new Bed();
    bed.exchange.send(message(2n));
    await turns(1);
    const [delivery] = bed.deliveries;
    assert.deepEqual(delivery?.message, { ...message(2n), snapshot: at(7) });
    assert.deepEqual(bed.events, []);
    delivery?.done.resolve();
    await turns(1);
    assert.deepEqual(bed.events, ["removed", "delivered to 2"]);
  });

  test("fails a second one to the same follower at once, and lets one to another go", async () => {
    const bed = new Bed();
    bed.exchange.send(message(2n));
    await turns(1);
    bed.exchange.send(message(2n));
    assert.deepEqual(bed.events, ["failed to 2"]);
    bed.exchange.send(message(3n));
    await turns(1);
    assert.equal(bed.deliveries.length, 2);
    for (const { done } of bed.deliveries) done.resolve();
    await turns(1);
    bed.exchange.send(message(2n));
    await turns(1);
    assert.equal(bed.deliveries.length, 3, "the first is over");
  });

  test("tells of one that is not taken, and of one that cannot be made, with the reason in the log", async () => {
    const bed = new Bed();
    bed.exchange.send(message(2n));
    await turns(1);
    bed.deliveries[0]?.done.reject(new Error("it is full there"));
    await turns(1);
    assert.deepEqual(bed.events, ["removed", "failed to 2"]);
    bed.isMadeAtOnce = false;
    bed.exchange.send(message(2n));
    bed.making[1]?.reject(new Error("it is full here"));
    await turns(1);
    bed.clock.advance(100);
    await turns(1);
    assert.deepEqual(bed.events, ["removed", "failed to 2", "failed to 2"]);
    assert.deepEqual(bed.warnings, ["it is full there", "it is full here"]);
  });

  test("tells of failures in a row ever later, so that a follower with a full disk is not sent one after the other", async () => {
    const bed = new Bed();
    const fail = async () => {
      bed.exchange.send(message(2n));
      await turns(1);
      bed.deliveries.at(-1)?.done.reject(new Error("it is full there"));
      await turns(1);
    };
    const toldAfter = async (waitMs: number) => {
      bed.events.length = 0;
      bed.clock.advance(waitMs - 1);
      await turns(1);
      assert.deepEqual(bed.events, []);
      bed.clock.advance(1);
      await turns(1);
      assert.deepEqual(bed.events, ["failed to 2"]);
    };
    await fail();
    assert.deepEqual(bed.events, ["removed", "failed to 2"], "the first one at once");
    for (const waitMs of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      await fail();
      await toldAfter(waitMs);
    }
    bed.exchange.send(message(2n));
    await turns(1);
    bed.deliveries.at(-1)?.done.resolve();
    await turns(1);
    bed.events.length = 0;
    await fail();
    assert.deepEqual(bed.events, ["removed", "failed to 2"], "one that arrived ends the row");
  });
});

suite("SnapshotExchange.close()", () => {
  test("breaks off what is made and what is sent, removes the copies, and tells nobody", async () => {
    const bed = new Bed();
    bed.exchange.send(message(2n));
    await turns(1);
    bed.isMadeAtOnce = false;
    bed.exchange.send(message(3n));
    let isClosed = false;
    const closing = bed.exchange.close().then(() => {
      isClosed = true;
    });
    await turns(1);
    assert.equal(isClosed, false, "the transport still has one");
    const [delivery] = bed.deliveries;
    assert.equal(delivery?.signal.aborted, true);
    delivery?.done.reject(delivery.signal.reason);
    await closing;
    assert.deepEqual([bed.events, bed.warnings], [["removed"], []]);
    await bed.exchange.close();
  });
});

suite("SnapshotExchange.install()", () => {
  test("starts the log over first, and then replaces the state", async () => {
    const bed = new Bed();
    await bed.exchange.install(at(9), { term: 4, vote: 0n, commit: 9 });
    assert.deepEqual(bed.events, ["reset to 9, commit 9", "install 9"]);
  });
});
