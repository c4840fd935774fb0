import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CodedError } from "../../../base/errors.ts";
import { seededRandom } from "../../../base/random.ts";
import type { Entry } from "../../../conf/collect-config.ts";
import { parseCollectConfig } from "../../../conf/parse-collect-config.ts";
import type { LastGood } from "../../../logagent/config/last-good.ts";
import { LAST_GOOD_RETRY_MS } from "../../../logagent/config/last-good-writer.ts";
import { RemoteConfig } from "../../../logagent/config/remote-config.ts";
import type { GetResult } from "../../../store/client/results.ts";
import type { KeyValue, WatchItem, WatchOptions } from "../../../store/client/types.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { SettlingClock } from "../../support/settling-clock.ts";

const KEY = "/logagent/a/collect_config";
const GOOD = '[{"path":"/a","topic":"t"}]';
const OTHER = '[{"path":"/b","topic":"t"}]';
const EMPTY: readonly string[] = [];

const header = (revision: number) => ({ clusterId: 1n, memberId: 1n, revision, raftTerm: 1 });

function keyValue(value: string, modRevision: number): KeyValue {
  return {
    key: Buffer.from(KEY),
    value: Buffer.from(value),
    createRevision: 1,
    modRevision,
    version: 1,
    lease: 0n,
  };
}

const found = (value: string, revision: number): GetResult => ({
  header: header(revision + 10),
  kv: keyValue(value, revision),
});
const absent = (revision: number): GetResult => ({ header: header(revision), kv: undefined });

function put(value: string, revision: number): WatchItem {
  return {
    kind: "events",
    revision,
    header: header(revision),
    events: [{ type: "put", kv: keyValue(value, revision), prevKv: undefined }],
  };
}

function deleted(revision: number): WatchItem {
  return {
    kind: "events",
    revision,
    header: header(revision),
    events: [{ type: "delete", kv: keyValue("", revision), prevKv: undefined }],
  };
}

/** A store that gives the answers of a script, then hangs. */
class ScriptedStore {
  readonly gets: (GetResult | Error)[] = [];
  readonly watchedFrom: (number | undefined)[] = [];
  #items: WatchItem[] = [];
  #more = Promise.withResolvers<void>();

  async get(_key: string, { signal }: { readonly signal: AbortSignal }): Promise<GetResult> {
    const next = this.gets.shift();
    if (next instanceof Error) throw next;
    return next ?? hang(signal);
  }

  push(item: WatchItem): void {
    this.#items.push(item);
    this.#more.resolve();
  }

  async *watch({ startRevision, signal }: WatchOptions): AsyncIterable<WatchItem> {
    this.watchedFrom.push(startRevision);
    for (;;) {
      const item = this.#items.shift();
      if (item === undefined) {
        this.#more = Promise.withResolvers();
        await Promise.race([this.#more.promise, hang(signal)]);
      } else yield item;
      if (item?.kind === "compacted") return;
    }
  }
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

class FakeFile {
  content: LastGood | undefined | Error;
  isDiskFull = false;
  writes = 0;
  constructor(content?: LastGood | Error) {
    this.content = content;
  }
  async read(): Promise<LastGood | undefined> {
    if (this.content instanceof Error) throw this.content;
    return this.content;
  }
  async write(content: LastGood): Promise<void> {
    this.writes += 1;
    if (this.isDiskFull) throw new CodedError("ENOSPC", "ENOSPC: no space left on device, write");
    this.content = content;
  }
}

async function withConfig(
  options: { readonly gets: (GetResult | Error)[]; readonly lastGood?: LastGood | Error },
  act: (parts: {
    readonly store: ScriptedStore;
    readonly clock: SettlingClock;
    readonly remote: RemoteConfig;
    readonly file: FakeFile;
    readonly applied: (readonly string[])[];
    readonly messages: () => string[];
  }) => Promise<void>,
): Promise<void> {
  const store = new ScriptedStore();
  store.gets.push(...options.gets);
  const clock = new SettlingClock();
  const file = new FakeFile(options.lastGood);
  const applied: (readonly string[])[] = [];
  const { log, lines } = recordedLog();
  const remote = new RemoteConfig({
    source: store,
    key: KEY,
    parse: (value) => parseCollectConfig(value),
    lastGood: file,
    apply: (entries: readonly Entry[]) => void applied.push(entries.map((entry) => entry.path)),
    onChange: () => undefined,
    clock,
    random: seededRandom(1),
    log,
  });
  const stop = new AbortController();
  const running = remote.run(stop.signal);
  try {
    await clock.advance(0);
    await act({
      store,
      clock,
      remote,
      file,
      applied,
      messages: () => lines.map((line) => `${line.level} ${line.msg}`),
    });
  } finally {
    stop.abort(new Error("the test is over"));
    await running;
  }
}

suite("RemoteConfig", () => {
  test("applies what it reads at R and watches from R + 1", () =>
    withConfig({ gets: [found(GOOD, 5)] }, async ({ remote, store, applied, file }) => {
      assert.deepEqual(applied, [["/a"]]);
      assert.deepEqual(store.watchedFrom, [16]);
      assert.deepEqual(remote.state, {
        applied: { revision: 5, entries: 1, origin: "store" },
        failed: undefined,
        storeIsOlder: false,
        saveFailure: undefined,
      });
      assert.deepEqual(file.content, { key: KEY, revision: 5, value: GOOD });
    }));

  test("applies each put; a deleted key is an empty list", () =>
    withConfig({ gets: [absent(3)] }, async ({ store, clock, applied, remote }) => {
      store.push(put(GOOD, 4));
      await clock.advance(0);
      store.push(deleted(5));
      await clock.advance(0);
      assert.deepEqual(applied, [EMPTY, ["/a"], EMPTY]);
      assert.equal(remote.state.applied?.revision, 5);
    }));

  test("keeps what runs when a value does not validate, and says which revision and why", () =>
    withConfig({ gets: [found(GOOD, 5)] }, async ({ store, clock, applied, remote, file }) => {
      store.push(put("nonsense", 6));
      await clock.advance(0);
      assert.deepEqual(applied, [["/a"]]);
      assert.equal(remote.state.applied?.revision, 5);
      assert.deepEqual(remote.state.failed, {
        revision: 6,
        reason: "Cannot use collect config: not JSON at line 1, column 1: found nonsense, expected a value",
      });
      assert.equal((file.content as LastGood).revision, 5);
      store.push(put(OTHER, 7));
      await clock.advance(0);
      assert.deepEqual(applied, [["/a"], ["/b"]]);
      assert.equal(remote.state.failed, undefined);
    }));

  test("refuses a value once, however often it is read", () =>
    withConfig({ gets: [found("{", 6), found("{", 6)] }, async ({ store, clock, messages }) => {
      store.push({ kind: "compacted", compactRevision: 9, header: header(9) });
      await clock.advance(0);
      assert.equal(messages().filter((line) => line.startsWith("error config refused")).length, 1);
    }));

  test("reads again after a compaction, and applies only what changed", () =>
    withConfig(
      { gets: [found(GOOD, 5), found(GOOD, 5), found(OTHER, 30)] },
      async ({ store, clock, applied }) => {
        for (let time = 0; time < 2; time += 1) {
          store.push({ kind: "compacted", compactRevision: 20, header: header(25) });
          await clock.advance(0);
        }
        assert.deepEqual(applied, [["/a"], ["/b"]]);
        assert.deepEqual(store.watchedFrom, [16, 16, 41]);
      },
    ));

  test("uses the last good config when the store is away at the start, and goes on when it is back", () =>
    withConfig(
      {
        gets: [new Error("store is away"), found(OTHER, 9)],
        lastGood: { key: KEY, revision: 7, value: GOOD },
      },
      async ({ store, clock, applied, remote, messages }) => {
        store.gets.unshift(...Array<Error>(60).fill(new Error("store is away")));
        await clock.advance(1_900);
        assert.deepEqual(applied, []);
        await clock.advance(200);
        assert.deepEqual(applied, [["/a"]]);
        assert.deepEqual(remote.state.applied, { revision: 7, entries: 1, origin: "disk" });
        assert.ok(messages().includes("warn last good config used"));
        await clock.advance(3_600_000);
        assert.deepEqual(applied, [["/a"], ["/b"]]);
        assert.deepEqual(remote.state.applied, { revision: 9, entries: 1, origin: "store" });
        assert.equal(messages().filter((line) => line.includes("store not reached")).length, 1);
      },
    ));

  test("uses the last good config when the store's value is refused at the start", () =>
    withConfig(
      { gets: [found("[1]", 9)], lastGood: { key: KEY, revision: 7, value: GOOD } },
      async ({ applied, remote }) => {
        assert.deepEqual(applied, [["/a"]]);
        assert.deepEqual(remote.state.applied, { revision: 7, entries: 1, origin: "disk" });
        assert.equal(remote.state.failed?.revision, 9);
      },
    ));

  test("does not use the last good config of another key", () =>
    withConfig(
      { gets: [], lastGood: { key: "/logagent/b/collect_config", revision: 7, value: GOOD } },
      async ({ clock, applied, messages }) => {
        await clock.advance(5_000);
        assert.deepEqual(applied, []);
        assert.ok(messages().includes("warn last good config is of another key, not used"));
      },
    ));

  test("starts without a last good config that cannot be read, and says so", () =>
    withConfig(
      {
        gets: [],
        lastGood: new CodedError("EDAMAGED", "Cannot use last-good.json: format version 0, expected 1"),
      },
      async ({ clock, applied, messages }) => {
        await clock.advance(5_000);
        assert.deepEqual(applied, []);
        assert.ok(messages().includes("error last good config not readable"));
      },
    ));

  test("keeps the last good config when the store lost its history, until something is put", () =>
    withConfig(
      { gets: [absent(1)], lastGood: { key: KEY, revision: 70, value: GOOD } },
      async ({ store, clock, applied, remote }) => {
        assert.deepEqual(applied, [["/a"]]);
        assert.equal(remote.state.storeIsOlder, true);
        store.push(put(OTHER, 2));
        await clock.advance(0);
        assert.deepEqual(applied, [["/a"], ["/b"]]);
        assert.deepEqual(remote.state, {
          applied: { revision: 2, entries: 1, origin: "store" },
          failed: undefined,
          storeIsOlder: false,
          saveFailure: undefined,
        });
      },
    ));

  test("writes the newest config that came while the disk was full once it has room, and is behind until then", () =>
    withConfig({ gets: [found(GOOD, 5)] }, async ({ store, clock, applied, remote, file, messages }) => {
      file.isDiskFull = true;
      const written = file.writes;
      for (const revision of [6, 7, 8]) {
        store.push(put(revision === 8 ? OTHER : GOOD, revision));
        await clock.advance(0);
      }
      assert.deepEqual(applied.at(-1), ["/b"]);
      assert.equal(file.writes, written + 1);
      assert.equal(remote.state.saveFailure, "ENOSPC: no space left on device, write");
      await clock.advance(3 * LAST_GOOD_RETRY_MS);
      assert.equal(file.writes, written + 4);
      file.isDiskFull = false;
      await clock.advance(LAST_GOOD_RETRY_MS);
      assert.deepEqual(file.content, { key: KEY, revision: 8, value: OTHER });
      assert.equal(remote.state.saveFailure, undefined);
      await clock.advance(10 * LAST_GOOD_RETRY_MS);
      assert.equal(file.writes, written + 5);
      const said = messages().filter((line) => line.includes("last good config"));
      assert.deepEqual(said, [
        "error last good config not written; a restart while the store is away would run an older one",
        "info last good config is written again",
      ]);
    }));

  for (const staysFull of [false, true]) {
    test(`tries once more to write the config when it ends${staysFull ? ", and ends although that fails" : ""}`, async () => {
      const files: FakeFile[] = [];
      await withConfig({ gets: [found(GOOD, 5)] }, async ({ store, clock, file }) => {
        file.isDiskFull = true;
        store.push(put(OTHER, 6));
        await clock.advance(0);
        file.isDiskFull = staysFull;
        files.push(file);
      });
      assert.deepEqual(
        files.map(({ content, writes }) => [(content as LastGood).revision, writes]),
        [[staysFull ? 5 : 6, 3]],
      );
    });
  }

  test("takes an absent key for an empty list when the store is as new as the last good config", () =>
    withConfig(
      { gets: [absent(71)], lastGood: { key: KEY, revision: 70, value: GOOD } },
      async ({ applied }) => assert.deepEqual(applied, [EMPTY]),
    ));
});
