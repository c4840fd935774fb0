import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { runAtOnce } from "../../../base/steps.ts";
import type { Change } from "../../../store/mvcc/types.ts";
import { Event, KeyValue } from "../../../store/proto/gen/kv.ts";
import { EncodedChange, TargetEvents } from "../../../store/watch/event-encoding.ts";
import type { History } from "../../../store/watch/types.ts";

const EVERYTHING = { prevKv: false, noPut: false, noDelete: false };
const KEY = Buffer.from([0, 0x6b, 0xff]);

const before = record({ createRevision: 3, modRevision: 6, version: 2, value: Buffer.from("old") });
const after = record({ createRevision: 3, modRevision: 9, version: 3, value: Buffer.alloc(300, "n") });
const bare = record({});

suite("EncodedChange", () => {
  test("event() of a put is the marshalled Event around the stored record", () => {
    const { change } = changeOf("update", after);
    assert.deepEqual(change.event(false), eventOf({ type: 0, kv: KeyValue.decode(after) }));
  });

  test("event() of a deletion tells the key and the revision of the deletion", () => {
    const { change } = changeOf("delete", bare);
    const kv = { ...KeyValue.decode(bare), modRevision: 9 };
    assert.deepEqual(change.event(false), eventOf({ type: 1, kv }));
  });

  test("event() with the previous value asks for the revision before, once", () => {
    for (const [kind, bytes, type] of [
      ["update", after, 0],
      ["delete", bare, 1],
    ] as const) {
      const { change, asked } = changeOf(kind, bytes);
      const event = change.event(true);
      const kv = kind === "delete" ? { ...KeyValue.decode(bytes), modRevision: 9 } : KeyValue.decode(bytes);
      assert.deepEqual(event, eventOf({ type, kv, prevKv: KeyValue.decode(before) }));
      assert.equal(change.event(true), event);
      assert.deepEqual(asked, [`${KEY.toString("latin1")}@8`]);
    }
  });

  test("event() with the previous value of a key that is new does not look for one", () => {
    const { change, asked } = changeOf("create", after);
    assert.equal(change.event(true), change.event(false));
    assert.deepEqual(asked, []);
  });

  test("event() leaves out a previous value that is compacted", () => {
    const { change } = changeOf("update", after, null);
    assert.deepEqual(change.event(true), eventOf({ type: 0, kv: KeyValue.decode(after) }));
  });
});

suite("TargetEvents", () => {
  test("batch() is one and the same for watchers that want the same", () => {
    const events = targetEvents();
    const batch = runAtOnce(events.batch(9, EVERYTHING));
    assert.equal(batch?.revision, 9);
    assert.equal(batch?.events.length, 2);
    assert.equal(runAtOnce(events.batch(9, { ...EVERYTHING })), batch);
    assert.notEqual(runAtOnce(events.batch(9, { ...EVERYTHING, prevKv: true })), batch);
  });

  test("batch() leaves out what is filtered, and is undefined when nothing is left", () => {
    const events = targetEvents();
    const types = (wanted: Partial<typeof EVERYTHING>) =>
      runAtOnce(events.batch(9, { ...EVERYTHING, ...wanted }))?.events.map(
        (event) => Event.decode(event).type,
      );
    assert.deepEqual(types({ noPut: true }), [1]);
    assert.deepEqual(types({ noDelete: true }), [0]);
    assert.equal(types({ noPut: true, noDelete: true }), undefined);
  });
});

function targetEvents(): TargetEvents {
  const events = new TargetEvents();
  events.add(changeOf("update", after).change);
  events.add(changeOf("delete", bare).change);
  return events;
}

function changeOf(kind: Change["kind"], bytes: Uint8Array, previous: Uint8Array | null = before) {
  const asked: string[] = [];
  const history: History = {
    revision: 9,
    compactRevision: -1,
    recordAt: (key, revision) => {
      asked.push(`${key}@${revision}`);
      return previous ?? undefined;
    },
    history: () => assert.fail("an event does not read history"),
  };
  const change: Change = { key: KEY.toString("latin1"), revision: 9, kind, record: bytes };
  return { change: new EncodedChange(change, history), asked };
}

function record(parts: Partial<KeyValue>): Buffer {
  return KeyValue.encode(KeyValue.create({ key: KEY, ...parts })).finish();
}

function eventOf(parts: Partial<Event>): Buffer {
  return Event.encode({ type: 0, kv: undefined, prevKv: undefined, ...parts }).finish();
}
