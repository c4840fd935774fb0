import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { suite, test } from "node:test";
import { nodeDisk } from "../../../base/node-disk.ts";
import { seededRandom } from "../../../base/random.ts";
import type { AgentStatus } from "../../../conf/agent-status.ts";
import { buildStatus } from "../../../logagent/status/build-status.ts";
import { PreviousLease } from "../../../logagent/status/previous-lease.ts";
import { StatusWriter } from "../../../logagent/status/status-writer.ts";
import { ClientError } from "../../../store/client/client-error.ts";
import type { Compare, Transaction } from "../../../store/client/operations.ts";
import type { TxnResult } from "../../../store/client/results.ts";
import type { KeyValue } from "../../../store/client/types.ts";
import { temporaryFolder } from "../../support/process.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { SettlingClock } from "../../support/settling-clock.ts";
import { APPLIED, agentView, taskStatus } from "./task-status.ts";

const KEY = "/logagent/a/status";
const MINUTE_MS = 60_000;

/** A store of the status key, which counts what is written to it, and of the keys below it. */
class OneKeyStore {
  kv: KeyValue | undefined;
  readonly below = new Map<string, { readonly value: string; readonly lease: bigint }>();
  puts = 0;
  failure: Error | undefined;
  /** Others write the key between any two transactions. */
  isContended = false;
  #revision = 1;

  async txn({ compare = [], success = [], failure = [] }: Transaction): Promise<TxnResult> {
    if (this.failure !== undefined) throw this.failure;
    if (this.isContended) this.put("{}", this.kv?.lease ?? 0n);
    const succeeded = compare.every((one) => this.#holds(one));
    const [operation] = succeeded ? success : failure;
    const header = { clusterId: 1n, memberId: 1n, revision: this.#revision, raftTerm: 1 };
    if (operation?.kind === "put" && operation.key !== KEY) {
      const { key, value, lease = 0n } = operation;
      this.below.set(String(key), { value: String(value), lease });
      return { header, succeeded, responses: [] };
    }
    if (operation?.kind === "delete") {
      this.below.delete(String(operation.key));
      return { header, succeeded, responses: [] };
    }
    if (operation?.kind === "put") {
      this.put(String(operation.value), operation.lease ?? 0n);
      return { header, succeeded, responses: [{ kind: "put", header, prevKv: undefined }] };
    }
    const kvs = this.kv === undefined ? [] : [this.kv];
    return { header, succeeded, responses: [{ kind: "range", header, kvs, more: false, count: kvs.length }] };
  }

  put(value: string, lease: bigint): void {
    this.#revision += 1;
    this.puts += 1;
    this.kv = {
      key: Buffer.from(KEY),
      value: Buffer.from(value),
      createRevision: this.kv?.createRevision ?? this.#revision,
      modRevision: this.#revision,
      version: 1,
      lease,
    };
  }

  remove(): void {
    this.kv = undefined;
  }

  status(): AgentStatus {
    assert.ok(this.kv);
    return JSON.parse(this.kv.value.toString()) as AgentStatus;
  }

  #holds(compare: Compare): boolean {
    assert.equal(compare.result, "=");
    if (compare.target === "create") return (this.kv?.createRevision ?? 0) === compare.operand;
    assert.equal(compare.target, "mod");
    return (this.kv?.modRevision ?? 0) === compare.operand;
  }
}

async function withWriter(
  act: (parts: {
    readonly store: OneKeyStore;
    readonly clock: SettlingClock;
    readonly writer: StatusWriter;
    readonly view: { config: typeof APPLIED; flags: boolean; bytes: number };
    readonly lease: { id: bigint; lost: bigint[]; noted: bigint[] };
    readonly messages: () => string[];
  }) => Promise<void>,
  options: { readonly kv?: { readonly lease: bigint }; readonly previous?: bigint } = {},
): Promise<void> {
  const store = new OneKeyStore();
  if (options.kv !== undefined) store.put("{}", options.kv.lease);
  store.puts = 0;
  const clock = new SettlingClock();
  const { log, lines } = recordedLog();
  const view = { config: APPLIED, flags: false, bytes: 0 };
  const lease = { id: 0xan, lost: [] as bigint[], noted: [] as bigint[] };
  const writer = new StatusWriter({
    client: store,
    lease: {
      get id() {
        return lease.id;
      },
      held: async () => lease.id,
      reportLost: (id) => void lease.lost.push(id),
    },
    previousLease: { read: async () => options.previous, write: async (id) => void lease.noted.push(id) },
    key: KEY,
    build: () =>
      buildStatus(
        agentView({
          hasIdentityConflict: () => writer.hasConflict,
          nowMs: () => clock.wallMs(),
          config: () => view.config,
          tasks: () => [taskStatus({ bytesRead: view.bytes })],
          checkpointFailure: () => (view.flags ? "disk full" : undefined),
        }),
      ),
    clock,
    random: seededRandom(1),
    log,
  });
  const stop = new AbortController();
  const running = writer.run(stop.signal);
  try {
    await clock.advance(0);
    const messages = () => lines.map((line) => `${line.level} ${line.msg}`);
    await act({ store, clock, writer, view, lease, messages });
  } finally {
    stop.abort(new Error("the test is over"));
    await running;
  }
}

suite("StatusWriter", () => {
  test("writes under its lease at once, and hardly anything more while nothing changes", () =>
    withWriter(async ({ store, clock }) => {
      assert.equal(store.kv?.lease, 0xan);
      assert.equal(store.status().config.applied, 7);
      await clock.advance(9 * MINUTE_MS);
      assert.equal(store.puts, 1);
      await clock.advance(2 * MINUTE_MS);
      assert.equal(store.puts, 2);
      assert.ok(Date.parse(store.status().asOf ?? "") >= clock.wallMs() - 2 * MINUTE_MS);
    }));

  test("notes its lease once while another agent holds the key", () =>
    withWriter(
      async ({ clock, lease, messages }) => {
        await clock.advance(MINUTE_MS);
        assert.deepEqual(messages(), ["error another agent has the same identity, set ip: on one of them"]);
        assert.deepEqual(lease.noted, [0xan]);
        lease.id = 0xbn;
        await clock.advance(MINUTE_MS);
        assert.deepEqual(lease.noted, [0xan, 0xbn]);
      },
      { kv: { lease: 0xcn } },
    ));

  test("takes a key that changes under each try for no other agent", () =>
    withWriter(async ({ store, clock, writer, view, messages }) => {
      store.isContended = true;
      view.config = { ...APPLIED, applied: { revision: 8, entries: 1, origin: "store" } };
      writer.changed();
      await clock.advance(0);
      assert.equal(writer.hasConflict, false);
      assert.deepEqual(messages(), ["warn status not written, trying again"]);
      store.isContended = false;
      await clock.advance(MINUTE_MS);
      assert.equal(store.status().config.applied, 8);
    }));

  test("writes a change of the config at once", () =>
    withWriter(async ({ store, clock, writer, view }) => {
      view.config = { ...APPLIED, failed: { revision: 9, reason: "no" } };
      writer.changed();
      await clock.advance(0);
      assert.equal(store.puts, 2);
      assert.deepEqual(store.status().config.failed, { revision: 9, reason: "no" });
    }));

  test("writes the figures again when a change has settled, not beside the old ones for a minute", () =>
    withWriter(async ({ store, clock, writer, view }) => {
      view.config = { ...APPLIED, applied: { revision: 8, entries: 1, origin: "store" } };
      writer.changed();
      await clock.advance(200);
      assert.deepEqual([store.status().config.applied, store.status().totals.bytesRead], [8, 0]);
      view.bytes = 5;
      await clock.advance(900);
      assert.equal(store.status().totals.bytesRead, 5);
      assert.equal(store.puts, 3);
    }));

  test("never waits for less than nothing, however long the store took to write", () =>
    withWriter(async ({ store, clock, writer, view }) => {
      const waits: number[] = [];
      const sleep = clock.sleep.bind(clock);
      clock.sleep = (ms, options) => {
        waits.push(ms);
        return sleep(ms, options);
      };
      const txn = store.txn.bind(store);
      store.txn = async (transaction) => {
        clock.jump(5_000);
        return txn(transaction);
      };
      view.config = { ...APPLIED, applied: { revision: 8, entries: 1, origin: "store" } };
      writer.changed();
      await clock.advance(10_000);
      assert.equal(store.status().config.applied, 8);
      assert.ok(waits.length > 0 && Math.min(...waits) >= 0, `waits of ${waits.join(", ")} ms`);
    }));

  test("writes the figures of changes that follow one another once, when the last has settled", () =>
    withWriter(async ({ store, clock, writer, view }) => {
      for (let revision = 8; revision < 18; revision += 1) {
        view.config = { ...APPLIED, applied: { revision, entries: 1, origin: "store" } };
        view.bytes += 1;
        writer.changed();
        await clock.advance(100);
      }
      assert.equal(store.puts, 11);
      view.bytes += 1;
      await clock.advance(5_000);
      assert.equal(store.puts, 12);
      assert.equal(store.status().totals.bytesRead, 11);
    }));

  test("writes figures that change within a quarter of a minute, and in the long run once a minute", () =>
    withWriter(async ({ store, clock, view }) => {
      await clock.advance(MINUTE_MS);
      view.bytes += 1;
      await clock.advance(15_000);
      assert.equal(store.status().totals.bytesRead, 1);
      const before = store.puts;
      for (let second = 0; second < 1_200; second += 1) {
        view.bytes += 1;
        await clock.advance(1_000);
      }
      const puts = store.puts - before;
      assert.ok(puts >= 20 && puts <= 20 + 6, `${puts} writes in twenty minutes`);
    }));

  test("writes a flag soon, also one that comes and goes, but not at each change", () =>
    withWriter(async ({ store, clock, view }) => {
      for (let second = 0; second < 60; second += 1) {
        view.flags = second % 2 === 0;
        await clock.advance(1_000);
      }
      assert.ok(store.puts <= 8, `${store.puts} writes in a minute`);
      view.flags = !store.status().flags.includes("checkpoints-not-written");
      await clock.advance(15_000);
      assert.equal(store.status().flags.includes("checkpoints-not-written"), view.flags);
    }));

  test("writes again under a new lease", () =>
    withWriter(async ({ store, clock, writer, lease }) => {
      lease.id = 0xbn;
      store.remove();
      writer.changed();
      await clock.advance(0);
      assert.equal(store.kv?.lease, 0xbn);
    }));

  test("takes over a key under its own earlier lease", () =>
    withWriter(
      async ({ store, writer }) => {
        assert.equal(store.kv?.lease, 0xan);
        assert.equal(writer.hasConflict, false);
      },
      { kv: { lease: 0x9n }, previous: 0x9n },
    ));

  test("leaves another agent's key alone, says so once, and takes it when it is gone", () =>
    withWriter(
      async ({ store, clock, writer, messages }) => {
        await clock.advance(MINUTE_MS);
        assert.equal(store.puts, 0);
        assert.equal(store.kv?.lease, 0x9n);
        assert.equal(writer.hasConflict, true);
        assert.deepEqual(messages(), ["error another agent has the same identity, set ip: on one of them"]);
        store.remove();
        await clock.advance(10_000);
        assert.equal(store.kv?.lease, 0xan);
        assert.equal(writer.hasConflict, false);
        assert.equal(messages().at(-1), "info the identity is this agent's alone again");
      },
      { kv: { lease: 0x9n }, previous: 0x8n },
    ));

  test("shows itself below the key that another agent holds, under its own lease, until it has the key", () =>
    withWriter(
      async ({ store, clock }) => {
        const rival = `${KEY}/00000000000000a1`;
        assert.deepEqual([...store.below.keys()], [rival]);
        assert.equal(store.below.get(rival)?.lease, 0xan);
        const status = JSON.parse(store.below.get(rival)?.value ?? "") as AgentStatus;
        assert.deepEqual(status.instance, { id: "00000000000000a1", host: "web-1", pid: 77 });
        assert.deepEqual(status.flags, ["identity-conflict"]);
        store.remove();
        await clock.advance(10_000);
        assert.deepEqual([...store.below.keys()], []);
      },
      { kv: { lease: 0x9n } },
    ));

  test("tries again when the store does not answer, with one WARN", () =>
    withWriter(async ({ store, clock, writer, view, messages }) => {
      store.failure = new ClientError("Unreachable", "Cannot run a transaction", {
        detail: "",
        retryable: true,
      });
      view.config = { ...APPLIED, failed: { revision: 9, reason: "no" } };
      writer.changed();
      await clock.advance(MINUTE_MS);
      assert.deepEqual(messages(), ["warn status not written, trying again"]);
      store.failure = undefined;
      await clock.advance(10_000);
      assert.equal(store.status().config.failed?.revision, 9);
    }));

  test("reports a lease that the store does not know", () =>
    withWriter(async ({ store, clock, writer, view, lease }) => {
      store.failure = new ClientError("LeaseNotFound", "Cannot run a transaction", {
        detail: "",
        retryable: false,
      });
      view.config = { ...APPLIED, failed: { revision: 9, reason: "no" } };
      writer.changed();
      await clock.advance(0);
      assert.deepEqual(lease.lost, [0xan]);
    }));
});

suite("PreviousLease", () => {
  const file = path.join(temporaryFolder("lease"), "status-lease.json");

  test("read() gives what write() was given; nothing, with a WARN, for what it cannot read", async () => {
    const { log, lines } = recordedLog();
    const previous = new PreviousLease({ disk: nodeDisk, path: file, log });
    assert.equal(await previous.read(), undefined);
    await previous.write(0x7fff_ffff_ffff_fff1n);
    assert.equal(await previous.read(), 0x7fff_ffff_ffff_fff1n);
    assert.equal(lines.length, 0);
    await writeFile(file, "{");
    assert.equal(await previous.read(), undefined);
    assert.equal(lines[0]?.msg, "previous lease not readable");
  });
});
