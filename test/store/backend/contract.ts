import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { errorCode } from "../../../base/errors.ts";
import type { Backend, Bucket } from "../../../store/backend/port.ts";

/** What the contract needs of an implementation: a place that survives, to open a backend over. */
export interface BackendPlace {
  open(): Promise<Backend>;
  /** The path to give to copy(). */
  copyPath(name: string): string;
  /** Names of the copies that there are. */
  copyNames(): Promise<readonly string[]>;
  remove(): Promise<void>;
}

/** Every backend keeps this. */
export function backendContract(name: string, makePlace: () => Promise<BackendPlace>): void {
  async function inPlace(body: (place: BackendPlace) => Promise<void>): Promise<void> {
    const place = await makePlace();
    try {
      await body(place);
    } finally {
      await place.remove();
    }
  }

  const inBackend = (body: (backend: Backend, place: BackendPlace) => Promise<void>) =>
    inPlace(async (place) => {
      const backend = await place.open();
      try {
        await body(backend, place);
      } finally {
        await backend.close();
      }
    });

  describe(`${name}, the backend contract`, () => {
    it("get() sees a put at once, during its commit and after it", () =>
      inBackend(async (backend) => {
        backend.put("key", bytes("a"), bytes("1"));
        assert.equal(read(backend, "key", "a"), "1");
        const commit = backend.commit();
        assert.equal(read(backend, "key", "a"), "1");
        await commit;
        assert.equal(read(backend, "key", "a"), "1");
      }));

    it("get() gives undefined for what is absent or deleted, and an empty value for an empty value", () =>
      inBackend(async (backend) => {
        assert.equal(backend.get("key", bytes("a")), undefined);
        backend.put("alarm", bytes("a"), bytes(""));
        backend.put("key", bytes("a"), bytes("1"));
        await backend.commit();
        backend.delete("key", bytes("a"));
        assert.equal(backend.get("key", bytes("a")), undefined);
        assert.equal(read(backend, "alarm", "a"), "");
        await backend.commit();
        assert.equal(backend.get("key", bytes("a")), undefined);
        assert.equal(read(backend, "alarm", "a"), "");
      }));

    it("buckets do not share keys", () =>
      inBackend(async (backend) => {
        backend.put("key", bytes("a"), bytes("1"));
        backend.put("lease", bytes("a"), bytes("2"));
        await backend.commit();
        assert.equal(read(backend, "key", "a"), "1");
        assert.equal(read(backend, "lease", "a"), "2");
        assert.equal(backend.get("meta", bytes("a")), undefined);
      }));

    it("get() gives a value that later reads leave alone", () =>
      inBackend(async (backend) => {
        backend.put("key", bytes("a"), bytes("first"));
        backend.put("key", bytes("b"), bytes("other"));
        await backend.commit();
        const kept = backend.get("key", bytes("a"));
        for (let i = 0; i < 10; i++) backend.get("key", bytes("b"));
        assert.equal(text(kept), "first");
      }));

    it("range() compares bytes without sign and ends before its end", () =>
      inBackend(async (backend) => {
        const keys = [[0], [1, 255], [127], [128], [255], [255, 0]].map((key) => Buffer.from(key));
        for (const key of keys.toReversed()) backend.put("key", key, key);
        await backend.commit();
        const pairs = [...backend.range("key", Buffer.from([1]), Buffer.from([255]), 0)];
        assert.deepEqual(
          pairs.map(({ key }) => [...key]),
          [[1, 255], [127], [128]],
        );
        assert.deepEqual(
          [...backend.range("key", Buffer.from([128]), undefined, 2)].map(({ key }) => [...key]),
          [[128], [255]],
        );
      }));

    it("commit() makes the writes before it outlive a close", () =>
      inPlace(async (place) => {
        const first = await place.open();
        first.put("key", bytes("a"), bytes("1"));
        await first.commit();
        await first.close();
        const second = await place.open();
        assert.equal(read(second, "key", "a"), "1");
        await second.close();
      }));

    it("commit() may be called again while one is under way", () =>
      inBackend(async (backend) => {
        const commits: Promise<void>[] = [];
        for (let i = 0; i < 5; i++) {
          backend.put("key", bytes("a"), bytes(`${i}`));
          backend.put("key", bytes(`k${i}`), bytes(""));
          commits.push(backend.commit());
        }
        assert.equal(read(backend, "key", "a"), "4");
        assert.equal([...backend.range("key", bytes(""), undefined, 0)].length, 6);
        await Promise.all(commits);
        assert.equal(read(backend, "key", "a"), "4");
        assert.equal([...backend.range("key", bytes(""), undefined, 0)].length, 6);
      }));

    it("close() waits for a commit under way, forgets what none has taken, and may be called twice", () =>
      inPlace(async (place) => {
        const first = await place.open();
        first.put("key", bytes("a"), bytes("1"));
        const committed = first.commit();
        first.put("key", bytes("a"), bytes("half of an entry"));
        first.put("key", bytes("b"), bytes("2"));
        await Promise.all([first.close(), first.close()]);
        await committed;
        const second = await place.open();
        assert.equal(read(second, "key", "a"), "1");
        assert.equal(read(second, "key", "b"), undefined);
        await second.close();
      }));

    it("pendingBytes counts what no commit has made durable, also while one is under way", () =>
      inBackend(async (backend) => {
        assert.equal(backend.pendingBytes, 0);
        backend.put("key", bytes("ab"), bytes("123"));
        backend.delete("key", bytes("c"));
        assert.equal(backend.pendingBytes, 6);
        const commit = backend.commit();
        assert.equal(backend.pendingBytes, 6);
        backend.put("key", bytes("d"), bytes("4"));
        await commit;
        assert.equal(backend.pendingBytes, 2);
        await backend.commit();
        assert.equal(backend.pendingBytes, 0);
      }));

    it("size() grows with what is committed, and what is in use shrinks when it is deleted", () =>
      inBackend(async (backend) => {
        const empty = backend.size();
        for (let i = 0; i < 100; i++) backend.put("key", bytes(`k${i}`), Buffer.alloc(2000));
        await backend.commit();
        const full = backend.size();
        assert.ok(full.inUseBytes - empty.inUseBytes >= 200_000, `in use grew to ${full.inUseBytes}`);
        assert.ok(full.totalBytes >= full.inUseBytes);
        for (let i = 0; i < 100; i++) backend.delete("key", bytes(`k${i}`));
        await backend.commit();
        const after = backend.size();
        assert.ok(after.inUseBytes < full.inUseBytes / 2, `in use shrank to ${after.inUseBytes}`);
      }));

    it("copy() makes a file that opens with what was committed, and refuses to overwrite one", () =>
      inBackend(async (backend, place) => {
        backend.put("key", bytes("a"), bytes("1"));
        backend.put("meta", bytes("m"), bytes("2"));
        await backend.commit();
        backend.put("key", bytes("a"), bytes("not committed"));
        await backend.copy(place.copyPath("copy"));
        backend.put("key", bytes("a"), bytes("9"));
        await backend.commit();
        const copy = await backend.openCopy(place.copyPath("copy"));
        assert.equal(read(copy, "key", "a"), "1");
        assert.equal(read(copy, "meta", "m"), "2");
        await copy.close();
        await assert.rejects(backend.copy(place.copyPath("copy")), (error) => errorCode(error) === "EEXIST");
      }));

    it("openCopy() gives a backend whose commits change the copy alone", () =>
      inBackend(async (backend, place) => {
        backend.put("meta", bytes("a"), bytes("1"));
        await backend.commit();
        await backend.copy(place.copyPath("copy"));
        const copy = await backend.openCopy(place.copyPath("copy"));
        copy.delete("meta", bytes("a"));
        copy.put("meta", bytes("b"), bytes("2"));
        await copy.commit();
        await copy.close();
        assert.equal(read(backend, "meta", "a"), "1");
        const again = await backend.openCopy(place.copyPath("copy"));
        assert.equal(again.get("meta", bytes("a")), undefined);
        assert.equal(read(again, "meta", "b"), "2");
        await again.close();
      }));

    it("openCopy() refuses what is not there", () =>
      inBackend(async (backend, place) => {
        await assert.rejects(
          backend.openCopy(place.copyPath("none")),
          (error) => errorCode(error) === "ENOENT",
        );
      }));

    it("install() puts a copy in the place of everything, for this run and for the next", () =>
      inPlace(async (place) => {
        const backend = await place.open();
        for (let i = 0; i < 300; i++) backend.put("key", bytes(`old${i}`), Buffer.alloc(100));
        await backend.commit();
        await backend.copy(place.copyPath("copy"));
        backend.put("key", bytes("newer"), bytes("1"));
        backend.put("lease", bytes("l"), bytes("1"));
        await backend.commit();
        const commit = (() => {
          backend.put("key", bytes("under way"), bytes("1"));
          return backend.commit();
        })();
        backend.put("key", bytes("not handed to a commit"), bytes("1"));
        await backend.install(place.copyPath("copy"));
        await commit;
        const names = (from: Backend) =>
          [...from.range("key", bytes(""), undefined, 0)].map(({ key }) => text(key));
        assert.equal(names(backend).length, 300);
        assert.equal(backend.pendingBytes, 0);
        assert.equal(backend.get("lease", bytes("l")), undefined);
        backend.put("key", bytes("zlast"), bytes("1"));
        await backend.commit();
        await assert.rejects(backend.openCopy(place.copyPath("copy")), (e) => errorCode(e) === "ENOENT");
        await backend.close();
        const again = await place.open();
        assert.equal(names(again).length, 301);
        assert.equal(names(again).at(-1), "zlast");
        await again.close();
      }));

    it("install() waits for a copy under way, which has the old content", () =>
      inBackend(async (backend, place) => {
        backend.put("key", bytes("a"), bytes("old"));
        await backend.commit();
        await backend.copy(place.copyPath("first"));
        for (let i = 0; i < 2000; i++) backend.put("key", bytes(`k${i}`), Buffer.alloc(500));
        await backend.commit();
        const copying = backend.copy(place.copyPath("second"));
        while ((await place.copyNames()).length < 2) await new Promise((resolve) => setImmediate(resolve));
        await backend.install(place.copyPath("first"));
        await copying;
        assert.equal(backend.get("key", bytes("k1999")), undefined);
        const copy = await backend.openCopy(place.copyPath("second"));
        assert.equal(copy.get("key", bytes("k1999"))?.byteLength, 500);
        await copy.close();
      }));

    it("open() refuses a file of a newer version and says which versions", () =>
      inPlace(async (place) => {
        const backend = await place.open();
        backend.put("meta", bytes("formatVersion"), Buffer.from([0, 0, 0, 7]));
        await backend.commit();
        await backend.close();
        await assert.rejects(place.open(), (error: Error) => {
          assert.equal(errorCode(error), "EFORMAT");
          assert.match(error.message, /^Cannot open backend .+: format version 7, expected 2 or less/);
          return true;
        });
      }));

    it("behaves as a sorted map, whatever is committed when", async () => {
      const key = fc.uint8Array({ minLength: 1, maxLength: 3 }).map((array) => Buffer.from(array));
      const step = fc.oneof(
        { weight: 5, arbitrary: fc.record({ kind: fc.constant("put" as const), key, value: key }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("commit" as const), wait: fc.boolean() }) },
        {
          weight: 3,
          arbitrary: fc.record({
            kind: fc.constant("range" as const),
            from: key,
            to: fc.option(key, { nil: undefined }),
            limit: fc.nat({ max: 4 }),
          }),
        },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), (steps) =>
          inBackend(async (backend) => {
            const model = new Map<string, string>();
            for (const one of steps) {
              switch (one.kind) {
                case "put":
                  backend.put("key", one.key, one.value);
                  model.set(one.key.toString("latin1"), one.value.toString("latin1"));
                  break;
                case "delete":
                  backend.delete("key", one.key);
                  model.delete(one.key.toString("latin1"));
                  break;
                case "commit": {
                  const done = backend.commit();
                  if (one.wait) await done;
                  break;
                }
                case "range":
                  assert.deepEqual(
                    [...backend.range("key", one.from, one.to, one.limit)].map((pair) => [
                      Buffer.from(pair.key).toString("latin1"),
                      Buffer.from(pair.value).toString("latin1"),
                    ]),
                    modelRange(model, one),
                  );
                  break;
                default:
                  one satisfies never;
              }
            }
            for (const [k, v] of model) assert.equal(text(backend.get("key", Buffer.from(k, "latin1"))), v);
          }),
        ),
        { numRuns: 60 },
      );
    });
  });
}

function modelRange(
  model: ReadonlyMap<string, string>,
  range: { readonly from: Buffer; readonly to: Buffer | undefined; readonly limit: number },
): [string, string][] {
  const from = range.from.toString("latin1");
  const to = range.to?.toString("latin1");
  const pairs = [...model]
    .filter(([key]) => key >= from && (to === undefined || key < to))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return range.limit === 0 ? pairs : pairs.slice(0, range.limit);
}

export function bytes(content: string): Buffer {
  return Buffer.from(content, "latin1");
}

export function text(content: Uint8Array | undefined): string | undefined {
  return content === undefined ? undefined : Buffer.from(content).toString("latin1");
}

function read(backend: Backend, bucket: Bucket, key: string): string | undefined {
  return text(backend.get(bucket, bytes(key)));
}
