import assert from "node:assert/strict";
import { appendFileSync, readdirSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../../base/clock.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { seededRandom } from "../../../base/random.ts";
import type { Entry } from "../../../conf/collect-config.ts";
import { followPaths } from "../../../logagent/source/follow-paths.ts";
import { Pulse } from "../../../logagent/task/pulse.ts";
import { Supervisor } from "../../../logagent/task/supervisor.ts";
import { startTailTask } from "../../../logagent/task/tail-task.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { SourceBed } from "../../support/source-bed.ts";

const { signal: NEVER } = new AbortController();
const WAIT_MS = 60_000;
const SEED = Number(process.env.MANY_TASKS_SEED ?? 1);

async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (const endMs = performance.now() + WAIT_MS; !isTrue(); await pause(5)) {
    assert.ok(performance.now() < endMs, `${what}, within ${WAIT_MS} ms`);
  }
}

/** The tasks of an agent, as the agent runs them. */
function supervise(bed: SourceBed): Supervisor {
  const deps = { ...bed.deps, clock: systemClock };
  const pulse = new Pulse(deps);
  return new Supervisor({
    startTask: (entry) => startTailTask(entry, deps, pulse),
    setOrder: (entries) => void followPaths(entries, bed.deps),
    onClose: () => deps.leftFiles?.close(),
    onClosed: () => deps.leftFiles?.sayAbandoned(),
    drainMs: 10_000,
    clock: systemClock,
    log: recordedLog().log,
  });
}

/** What a process would run out of. */
function handles(): Readonly<Record<string, number>> {
  const count = (kind: string) => process.getActiveResourcesInfo().filter((one) => one === kind).length;
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    watchers: count("FSEventWrap"),
    timers: count("Timeout"),
  };
}

suite("tasks by the thousand", () => {
  test("all ship, and stopping them together writes a few checkpoints, not one each", async () => {
    let renames = 0;
    const rename = (from: string, to: string) => {
      renames += 1;
      return nodeDisk.rename(from, to);
    };
    await using bed = await SourceBed.open({ disk: { ...nodeDisk, rename } });
    const before = handles();
    const entries: Entry[] = [];
    for (let i = 0; i < 1_000; i++) {
      const path = bed.path(`${i}.log`);
      writeFileSync(path, `first of ${i}\n`);
      entries.push(bed.entry({ path, topic: `t${i % 10}` }));
    }
    const supervisor = supervise(bed);
    supervisor.apply(entries);
    assert.equal(supervisor.tasks.length, 1_000);
    await until("each ships its line", () => bed.sink.arrived.length === 1_000);
    for (let i = 0; i < 1_000; i++) appendFileSync(bed.path(`${i}.log`), `second of ${i}\n`);
    await until("each ships what it grows by", () => bed.sink.arrived.length === 2_000);
    assert.equal(new Set(bed.sink.lines()).size, 2_000);
    await bed.checkpoints.persisted();
    renames = 0;
    await supervisor.close({ signal: NEVER });
    assert.equal(supervisor.tasks.length, 0);
    assert.ok(renames <= 2 * 3, `${renames / 2} checkpoints were written`);
    await until("no handle is left", () => isNoMore(handles(), before));
  });

  test(`a config that changes 300 times in a row loses nothing and repeats nothing (seed ${SEED})`, async () => {
    const random = seededRandom(SEED);
    await using bed = await SourceBed.open();
    const before = handles();
    const names = Array.from({ length: 20 }, (_, i) => `${i}.log`);
    const written = new Map(names.map((name) => [name, 0]));
    const grow = (name: string) => {
      const line = written.get(name) ?? 0;
      appendFileSync(bed.path(name), `${name} ${line}\n`);
      written.set(name, line + 1);
    };
    names.forEach(grow);
    writeFileSync(bed.path("stays"), "");
    const stays = bed.entry({ path: bed.path("stays"), topic: "stays" });
    const supervisor = supervise(bed);
    supervisor.apply([stays]);
    const untouched = supervisor.tasks[0];
    for (let change = 0; change < 300; change++) {
      const entries = names
        .filter(() => random.next() < 0.7)
        .map((name) => bed.entry({ path: bed.path(name), topic: `t${Math.floor(random.next() * 3)}` }));
      entries.splice(Math.floor(random.next() * entries.length), 0, stays);
      supervisor.apply(entries);
      for (const name of names) if (random.next() < 0.2) grow(name);
      appendFileSync(bed.path("stays"), `${change}\n`);
      // Now and then the tasks get somewhere between two changes.
      await pause(change % 5 === 0 ? 20 : 1);
    }
    supervisor.apply([stays, ...names.map((name) => bed.entry({ path: bed.path(name) }))]);
    const total = [...written.values()].reduce((sum, lines) => sum + lines, 300);
    await until("everything arrives", () => bed.sink.arrived.length >= total);
    await supervisor.settled();
    for (const [name, lines] of written) {
      const arrived = bed.sink.arrived.filter(({ path }) => path === bed.path(name));
      const expected = Array.from({ length: lines }, (_, line) => `${name} ${line}`);
      assert.deepEqual(
        arrived.map(({ value }) => value.toString()),
        expected,
        "each line once, in order",
      );
    }
    assert.deepEqual(
      bed.sink.lines("stays"),
      Array.from({ length: 300 }, (_, change) => `${change}`),
    );
    assert.equal(
      supervisor.tasks.find((task) => task.entry.path === stays.path),
      untouched,
    );
    assert.equal(supervisor.tasks.length, names.length + 1);
    assert.equal([...bed.checkpoints.records()].length, names.length + 1, "one record a file");
    await supervisor.close({ signal: NEVER });
    await until("no handle is left", () => isNoMore(handles(), before));
  });
});

function isNoMore(now: ReturnType<typeof handles>, before: ReturnType<typeof handles>): boolean {
  return Object.entries(now).every(([kind, count]) => count <= (before[kind] ?? 0) + 1);
}
