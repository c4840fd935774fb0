import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { seededRandom } from "../../base/random.ts";
import { LooksDue } from "../../logagent/source/looks-due.ts";
import { SourceBed } from "../support/source-bed.ts";

suite("LooksDue", () => {
  test("names those that are due, the longest first, and when the next one is", () => {
    const looks = new LooksDue<string>();
    assert.equal(looks.firstMs, Number.POSITIVE_INFINITY);
    looks.set("later", 500);
    looks.set("due", 250);
    looks.set("as due", 250);
    looks.set("hurried", 750);
    looks.set("hurried", 0);
    assert.equal(looks.firstMs, 0);
    assert.deepEqual([...looks.due(499)], ["hurried", "due", "as due"]);
    assert.deepEqual([...looks.due(-1)], []);
    looks.delete("hurried");
    looks.delete("due");
    assert.equal(looks.firstMs, 250);
    looks.delete("as due");
    assert.equal(looks.firstMs, 500);
  });

  test("names the one that is always due, once and until it is not, and does not count it for when the next is due", () => {
    const looks = new LooksDue<string>();
    looks.set("giving way", 500);
    looks.setAlways("giving way", true);
    assert.deepEqual([...looks.due(0)], ["giving way"]);
    assert.deepEqual([...looks.due(500)], ["giving way"]);
    assert.equal(looks.firstMs, 500);
    looks.setAlways("giving way", false);
    assert.deepEqual([...looks.due(0)], []);
    looks.setAlways("giving way", true);
    looks.delete("giving way");
    assert.deepEqual([...looks.due(1_000)], []);
  });

  test("names whoever becomes due meanwhile, and nobody twice", () => {
    const looks = new LooksDue<string>();
    looks.set("predecessor", 0);
    looks.set("successor", 900);
    const came: string[] = [];
    for (const file of looks.due(100)) {
      came.push(file);
      looks.set(file, 0);
      looks.set("successor", 0);
    }
    assert.deepEqual(came, ["predecessor", "successor"]);
  });

  test("agrees with a list, whatever is set and deleted", () => {
    const seed = 7;
    const random = seededRandom(seed);
    const below = (n: number) => Math.floor(random.next() * n);
    const looks = new LooksDue<number>();
    const list = new Map<number, number>();
    for (let step = 0; step < 5_000; step += 1) {
      const file = below(40);
      if (below(5) === 0) {
        looks.delete(file);
        list.delete(file);
      } else {
        const dueMs = below(60);
        looks.set(file, dueMs);
        list.set(file, dueMs);
      }
      const nowMs = below(60);
      const due = [...list].filter(([, dueMs]) => dueMs <= nowMs).map(([one]) => one);
      assert.deepEqual(new Set(looks.due(nowMs)), new Set(due), `seed ${seed}, step ${step}`);
      assert.equal(looks.firstMs, Math.min(...list.values()), `seed ${seed}, step ${step}`);
    }
  });
});

test("TailSource.hint() makes the next poll ask the file that it is about, and no other that is held", async () => {
  await using bed = await SourceBed.open();
  for (const name of ["a", "b", "c"]) writeFileSync(bed.path(`${name}.log`), "one\n");
  const running = bed.start({ path: bed.path("*.log") });
  await bed.step(running);
  await bed.step(running, 250);
  const asked: string[] = [];
  for (const file of running.source.files) {
    file.isLookDue = (nowMs) => {
      asked.push(file.lanePath);
      return nowMs >= file.nextLookMs;
    };
  }
  await bed.step(running);
  assert.deepEqual(asked, []);
  appendFileSync(bed.path("b.log"), "two\n");
  assert.ok(running.source.hint({ kind: "content", path: bed.path("b.log") }));
  await bed.step(running);
  assert.deepEqual(asked, [bed.path("b.log")]);
  assert.deepEqual(bed.sink.lines().slice(3), ["two"]);
  await bed.stop(running);
});
