import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { seededRandom } from "../../../base/random.ts";
import { Event } from "../../../store/proto/gen/kv.ts";
import { WatchRequest, WatchResponse } from "../../../store/proto/gen/rpc.ts";
import type { Replica } from "../../../store/replica/replica.ts";
import { ResponseHeaders } from "../../../store/server/response-header.ts";
import { StepPump } from "../../../store/server/step-pump.ts";
import { Turns } from "../../../store/server/turns.ts";
import { WatchStream } from "../../../store/server/watch-stream.ts";
import type { WatchHub, WatchOutlet, WatchSpec } from "../../../store/watch/types.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const BUFFER_BYTES_MAX = 1_000;
const RESPONSE_BYTES_MAX = 500;
const PROGRESS_MS = 1_000;
const STORE_REVISION = 7;

/** A watcher as the hub of these tests has it: the test plays the hub. */
interface HeldWatcher {
  readonly spec: WatchSpec;
  readonly outlet: WatchOutlet;
  synced: boolean;
  resumed: number;
  cancelled: boolean;
}

class Bed {
  readonly clock = new ManualClock();
  readonly watchers: HeldWatcher[] = [];
  readonly received: WatchResponse[] = [];
  /** While it is set, the client does not take anything. */
  stalled: Promise<void> | undefined;
  catchUpSteps = 0;
  readonly served: Promise<void>;
  readonly #requests: WatchRequest[] = [];
  #hasEnded = false;
  #wake: () => void = () => undefined;

  constructor() {
    const status = {
      term: 2,
      leader: 1n,
      role: "leader",
      commit: 0,
      applied: 0,
      lastIndex: 0,
      id: 1n,
    } as const;
    const replica = {
      clusterId: 5n,
      memberId: 6n,
      status,
      state: { revision: STORE_REVISION },
    } as unknown as Replica;
    const stream = new WatchStream(
      {
        replica,
        hub: this.#hub(),
        headers: new ResponseHeaders(replica),
        catchUp: new StepPump({
          turns: new Turns(this.clock),
          onError: (error) => assert.fail(String(error)),
          step: () => {
            this.catchUpSteps += 1;
            return false;
          },
        }),
        clock: this.clock,
        random: seededRandom(1),
        progressIntervalMs: PROGRESS_MS,
        responseBytesMax: RESPONSE_BYTES_MAX,
        streamBufferBytesMax: BUFFER_BYTES_MAX,
      },
      async (message) => {
        await this.stalled;
        this.received.push(WatchResponse.decode(message));
      },
    );
    this.served = stream.serve(this.#incoming());
  }

  async send(...requests: Parameters<typeof WatchRequest.fromPartial>[0][]): Promise<void> {
    this.#requests.push(...requests.map((request) => WatchRequest.fromPartial(request)));
    this.#wake();
    await settled();
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    this.#wake();
    await this.served;
  }

  watcher(index: number): HeldWatcher {
    return this.watchers[index] ?? assert.fail(`no watcher ${index}`);
  }

  async *#incoming(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) yield WatchRequest.encode(request).finish();
      else if (this.#hasEnded) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  #hub(): WatchHub {
    return {
      catchUpStep: () => false,
      onBehind: () => undefined,
      counts: { synced: 0, unsynced: 0, slow: 0 },
      watch: (spec, outlet) => {
        const held: HeldWatcher = { spec, outlet, synced: true, resumed: 0, cancelled: false };
        this.watchers.push(held);
        return {
          resume: () => {
            held.resumed += 1;
          },
          get synced() {
            return held.synced;
          },
          tellProgress: () => held.synced && outlet.offer({ kind: "progress", revision: STORE_REVISION }),
          cancel: () => {
            held.cancelled = true;
          },
        };
      },
    };
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
}

const create = (fields: object) => ({
  requestUnion: { $case: "createRequest" as const, value: { key: Buffer.from("k"), ...fields } },
});
const cancel = (watchId: number) => ({
  requestUnion: { $case: "cancelRequest" as const, value: { watchId } },
});
const progress = { requestUnion: { $case: "progressRequest" as const, value: {} } };

function event(revision: number, valueBytes = 1): Uint8Array {
  const kv = { key: Buffer.from("k"), modRevision: revision, value: Buffer.alloc(valueBytes) };
  return Event.encode(Event.fromPartial({ kv })).finish();
}

const batch = (revision: number, ...events: Uint8Array[]) => ({ revision, events });

test("WatchStream answers a create, then gives events with the revision they are of", async () => {
  const bed = new Bed();
  await bed.send(create({ startRevision: 3, prevKv: true, filters: [1] }));
  assert.deepEqual(
    { ...bed.watcher(0).spec, key: String(bed.watcher(0).spec.key) },
    { key: "k", rangeEnd: Buffer.alloc(0), startRevision: 3, prevKv: true, noPut: false, noDelete: true },
  );
  assert.equal(bed.catchUpSteps, 1);
  assert.ok(
    bed.watcher(0).outlet.offer({ kind: "events", batches: [batch(3, event(3)), batch(5, event(5))] }),
  );
  await bed.end();
  const [created, events] = bed.received;
  assert.deepEqual(created?.header, { clusterId: 5n, memberId: 6n, revision: STORE_REVISION, raftTerm: 2 });
  assert.deepEqual([created?.watchId, created?.created, created?.canceled], [0, true, false]);
  assert.equal(events?.header?.revision, 5);
  assert.deepEqual(
    events?.events.map(({ kv }) => kv?.modRevision),
    [3, 5],
  );
  assert.ok(bed.watcher(0).cancelled, "the end of the stream ends its watchers");
});

test("WatchStream takes a client's watch ids and gives free ones itself", async () => {
  const bed = new Bed();
  await bed.send(create({}), create({ watchId: 1 }), create({}), create({ watchId: 1 }));
  await bed.end();
  assert.deepEqual(
    bed.received.map(({ watchId, created, canceled, cancelReason }) => [
      watchId,
      created,
      canceled,
      cancelReason,
    ]),
    [
      [0, true, false, ""],
      [1, true, false, ""],
      [2, true, false, ""],
      [-1, true, true, "mvcc: duplicate watch ID provided on the WatchStream"],
    ],
  );
});

test("WatchStream refuses an empty range and a negative revision, in etcd's words", async () => {
  const bed = new Bed();
  await bed.send(
    create({ rangeEnd: Buffer.from("a") }),
    create({ startRevision: -1 }),
    create({ rangeEnd: Buffer.from([0]) }),
    create({ key: Buffer.alloc(0) }),
  );
  await bed.end();
  assert.deepEqual(
    bed.received.map(({ watchId, canceled, cancelReason }) => [watchId, canceled, cancelReason]),
    [
      [-1, true, "mvcc: watcher range is empty"],
      [-1, true, "etcdserver: mvcc: required revision has been compacted"],
      [0, false, ""],
      [1, false, ""],
    ],
  );
  assert.deepEqual([...bed.watcher(1).spec.key], [0], "an empty key is the smallest one");
});

test("WatchStream answers a cancel once, and nothing for a watcher it does not have", async () => {
  const bed = new Bed();
  await bed.send(create({}), cancel(0), cancel(0), cancel(9));
  await bed.end();
  assert.ok(bed.watcher(0).cancelled);
  assert.deepEqual(
    bed.received.map(({ created, canceled }) => [created, canceled]),
    [
      [true, false],
      [false, true],
    ],
  );
});

test("WatchStream tells a compacted watcher the oldest revision that is kept, and forgets it", async () => {
  const bed = new Bed();
  await bed.send(create({ startRevision: 1, watchId: 4 }));
  assert.ok(bed.watcher(0).outlet.offer({ kind: "compacted", compactRevision: 6 }));
  await bed.send(create({ watchId: 4 }));
  await bed.end();
  const [, ended, again] = bed.received;
  assert.deepEqual([ended?.watchId, ended?.canceled, ended?.compactRevision], [4, true, 6]);
  assert.deepEqual([again?.watchId, again?.created, again?.canceled], [4, true, false]);
});

test("WatchStream sets watchers aside while its client does not read, and resumes them when it does", async () => {
  const bed = new Bed();
  await bed.send(create({}), create({}));
  const gate = Promise.withResolvers<void>();
  bed.stalled = gate.promise;
  const offers = (index: number) =>
    bed.watcher(index).outlet.offer({ kind: "events", batches: [batch(8, event(8, 300))] });
  let taken = 0;
  while (offers(0)) taken += 1;
  assert.ok(taken <= BUFFER_BYTES_MAX / 300 + 1, `${taken} outputs were taken`);
  assert.ok(!offers(1));
  await settled();
  assert.deepEqual(
    bed.watchers.map(({ resumed }) => resumed),
    [0, 0],
  );
  gate.resolve();
  await settled();
  assert.deepEqual(
    bed.watchers.map(({ resumed }) => resumed),
    [1, 1],
  );
  assert.equal(bed.received.length, 2 + taken, "what was taken is given");
  assert.ok(offers(0));
  await bed.end();
});

test("WatchStream does not read requests of a client that does not take the answers", async () => {
  const bed = new Bed();
  bed.stalled = Promise.withResolvers<void>().promise;
  await bed.send(...Array.from({ length: 200 }, () => create({})));
  assert.ok(bed.watchers.length < 30, `${bed.watchers.length} creates were read`);
});

test("WatchStream cuts large outputs between revisions, and inside one only when asked to fragment", async () => {
  const bed = new Bed();
  await bed.send(create({}), create({ fragment: true }));
  const batches = [batch(8, event(8, 200), event(8, 200), event(8, 200)), batch(9, event(9, 200))];
  for (const { outlet } of bed.watchers) {
    assert.ok(outlet.offer({ kind: "events", batches }));
    await settled();
  }
  await bed.end();
  const shape = bed.received
    .slice(2)
    .map(({ watchId, header, fragment, events }) => [watchId, header?.revision, fragment, events.length]);
  assert.deepEqual(shape, [
    [0, 8, false, 3],
    [0, 9, false, 1],
    [1, 8, true, 2],
    [1, 9, false, 2],
  ]);
});

test("WatchStream answers a manual progress request for the whole stream when every watcher is synced", async () => {
  const bed = new Bed();
  await bed.send(progress);
  await bed.send(create({}), create({}));
  bed.watcher(1).synced = false;
  await bed.send(progress);
  assert.equal(bed.received.length, 2, "nothing without watchers, nor with one that is behind");
  bed.watcher(1).synced = true;
  await bed.send(progress);
  await bed.end();
  const last = bed.received.at(-1);
  assert.deepEqual([last?.watchId, last?.header?.revision, last?.events], [-1, STORE_REVISION, []]);
});

test("WatchStream tells progress of its own to silent watchers that asked for it, each interval", async () => {
  const bed = new Bed();
  await bed.send(create({ progressNotify: true }), create({}));
  const count = () => bed.received.length - 2;
  bed.clock.advance(PROGRESS_MS * 1.1);
  await settled();
  assert.equal(count(), 1);
  assert.deepEqual(
    [bed.received.at(-1)?.watchId, bed.received.at(-1)?.header?.revision],
    [0, STORE_REVISION],
  );
  assert.ok(bed.watcher(0).outlet.offer({ kind: "events", batches: [batch(8, event(8))] }));
  await settled();
  assert.equal(count(), 2);
  bed.clock.advance(PROGRESS_MS * 1.1);
  await settled();
  assert.equal(count(), 2, "events told enough");
  bed.clock.advance(PROGRESS_MS * 1.1);
  await settled();
  assert.equal(count(), 3);
  await bed.end();
});
