import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Entry, entrySchema } from "../../../conf/collect-config.ts";
import { Supervisor } from "../../../logagent/task/supervisor.ts";
import type { TailTask, TaskStatus } from "../../../logagent/task/types.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { SettlingClock } from "../../support/settling-clock.ts";
import { taskStatus } from "../status/task-status.ts";

const DRAIN_MS = 1_000;

const entry = (path: string, topic = "t"): Entry => entrySchema.parse({ path, topic });

/** A task that stops when the test says so, or when its drain is cut short. */
class FakeTask implements TailTask {
  readonly entry: Entry;
  readonly status: TaskStatus;
  isStopping = false;
  wasCut = false;
  readonly drained = Promise.withResolvers<void>();
  readonly #onStopped: () => void;

  constructor(entry: Entry, onStopped: () => void) {
    this.entry = entry;
    this.status = taskStatus({ path: entry.path, topic: entry.topic });
    this.#onStopped = onStopped;
  }

  async stop({ signal }: { readonly drain: boolean; readonly signal: AbortSignal }): Promise<void> {
    this.isStopping = true;
    const cut = Promise.withResolvers<void>();
    const onAbort = () => {
      this.wasCut = true;
      cut.resolve();
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    await Promise.race([this.drained.promise, cut.promise]);
    signal.removeEventListener("abort", onAbort);
    this.#onStopped();
  }
}

function bed() {
  const clock = new SettlingClock();
  const tasks: FakeTask[] = [];
  const live = new Map<string, string>();
  const orders: (readonly string[])[] = [];
  /** Tasks that lived at onClose and at onClosed. */
  const tasksAtClose: number[] = [];
  const { log, lines } = recordedLog();
  const supervisor = new Supervisor({
    startTask: (one) => {
      assert.ok(!live.has(one.path), `two tasks at ${one.path}`);
      live.set(one.path, one.topic);
      const task = new FakeTask(one, () => live.delete(one.path));
      tasks.push(task);
      return task;
    },
    setOrder: (entries) => void orders.push(entries.map(({ path }) => path)),
    onClose: () => void tasksAtClose.push(live.size),
    onClosed: () => void tasksAtClose.push(live.size),
    drainMs: DRAIN_MS,
    clock,
    log,
  });
  const started = () => tasks.map((task) => `${task.entry.path} ${task.entry.topic}`);
  return { supervisor, clock, tasks, live, orders, tasksAtClose, lines, started };
}

const at = (tasks: readonly FakeTask[], index: number): FakeTask => {
  const task = tasks[index];
  assert.ok(task, `task ${index} was started`);
  return task;
};

suite("Supervisor", () => {
  test("apply() starts new tasks before it returns, and sets the order first", () => {
    const { supervisor, started, orders } = bed();
    supervisor.apply([entry("/b"), entry("/a")]);
    assert.deepEqual(started(), ["/b t", "/a t"]);
    assert.deepEqual(orders, [["/b", "/a"]]);
  });

  test("apply() leaves unchanged tasks alone", () => {
    const { supervisor, tasks } = bed();
    supervisor.apply([entry("/a"), entry("/b")]);
    supervisor.apply([entry("/b"), entry("/a"), entry("/c")]);
    assert.equal(tasks.length, 3);
    assert.deepEqual(
      tasks.map((task) => task.isStopping),
      [false, false, false],
    );
  });

  test("apply() starts new tasks while others still drain", async () => {
    const { supervisor, clock, tasks, started } = bed();
    supervisor.apply([entry("/a")]);
    supervisor.apply([entry("/b")]);
    await clock.advance(0);
    assert.deepEqual(started(), ["/a t", "/b t"]);
    assert.equal(at(tasks, 0).isStopping, true);
    assert.equal(supervisor.tasks.length, 2);
    at(tasks, 0).drained.resolve();
    await supervisor.settled();
    assert.deepEqual(
      supervisor.tasks.map((task) => task.entry.path),
      ["/b"],
    );
  });

  test("a replaced task stops before its successor starts", async () => {
    const { supervisor, clock, tasks, started } = bed();
    supervisor.apply([entry("/a", "old")]);
    supervisor.apply([entry("/a", "new")]);
    await clock.advance(0);
    assert.deepEqual(started(), ["/a old"]);
    at(tasks, 0).drained.resolve();
    await supervisor.settled();
    assert.deepEqual(started(), ["/a old", "/a new"]);
    assert.equal(at(tasks, 0).wasCut, false);
  });

  test("of configs that come during a drain, the last one counts", async () => {
    const { supervisor, clock, tasks, started } = bed();
    supervisor.apply([entry("/a", "v1")]);
    for (const topic of ["v2", "v3", "v4"]) supervisor.apply([entry("/a", topic)]);
    await clock.advance(0);
    at(tasks, 0).drained.resolve();
    await supervisor.settled();
    assert.deepEqual(started(), ["/a v1", "/a v4"]);
  });

  test("an entry that comes back while it drains is started again", async () => {
    const { supervisor, tasks, started } = bed();
    supervisor.apply([entry("/a")]);
    supervisor.apply([]);
    supervisor.apply([entry("/a")]);
    at(tasks, 0).drained.resolve();
    await supervisor.settled();
    assert.deepEqual(started(), ["/a t", "/a t"]);
  });

  test("a drain that takes too long is cut short, with a WARN", async () => {
    const { supervisor, clock, tasks, started, lines } = bed();
    supervisor.apply([entry("/a", "old")]);
    supervisor.apply([entry("/a", "new")]);
    await clock.advance(DRAIN_MS - 1);
    assert.equal(at(tasks, 0).wasCut, false);
    await clock.advance(1);
    assert.equal(at(tasks, 0).wasCut, true);
    assert.deepEqual(started(), ["/a old", "/a new"]);
    assert.ok(lines.some((line) => line.level === "warn" && line.path === "/a"));
  });

  test("close() waits for every drain until the signal, and starts nothing more", async () => {
    const { supervisor, clock, tasks, tasksAtClose } = bed();
    supervisor.apply([entry("/a"), entry("/b")]);
    const limit = new AbortController();
    let isClosed = false;
    const closing = supervisor.close({ signal: limit.signal }).then(() => {
      isClosed = true;
    });
    supervisor.apply([entry("/c")]);
    at(tasks, 0).drained.resolve();
    await clock.advance(10 * DRAIN_MS);
    assert.equal(isClosed, false);
    assert.deepEqual(tasksAtClose, [2]);
    limit.abort(new Error("time is over"));
    await closing;
    assert.deepEqual(
      tasks.map((task) => task.wasCut),
      [false, true],
    );
    assert.equal(supervisor.tasks.length, 0);
    assert.deepEqual(tasksAtClose, [2, 0]);
  });

  test("ends with exactly the tasks of the last config, never two at one path, whatever comes when", async () => {
    const config = fc.uniqueArray(
      fc.record({ path: fc.constantFrom("/a", "/b", "/c"), topic: fc.constantFrom("t", "u") }),
      { selector: (one) => one.path },
    );
    const step = fc.oneof(
      fc.record({ kind: fc.constant("config" as const), config }),
      fc.record({ kind: fc.constant("drain" as const), index: fc.nat({ max: 20 }) }),
      fc.record({ kind: fc.constant("time" as const), ms: fc.nat({ max: 2 * DRAIN_MS }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), config, async (steps, last) => {
        const { supervisor, clock, tasks, live } = bed();
        for (const one of steps) {
          if (one.kind === "config")
            supervisor.apply(one.config.map(({ path, topic }) => entry(path, topic)));
          else if (one.kind === "drain") tasks[one.index]?.drained.resolve();
          else await clock.advance(one.ms);
        }
        supervisor.apply(last.map(({ path, topic }) => entry(path, topic)));
        await clock.advance(3 * DRAIN_MS);
        await supervisor.settled();
        assert.deepEqual([...live].sort(), last.map(({ path, topic }) => [path, topic]).sort());
      }),
      { numRuns: 60 },
    );
  });
});
