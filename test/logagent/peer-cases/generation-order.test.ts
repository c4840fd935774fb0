import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { UNPACKED_MAX } from "../../../logagent/source/unpack-turns.ts";
import type { Running, SourceBed } from "../../support/source-bed.ts";
import {
  compress,
  kernelTick,
  losses,
  type Names,
  numbered,
  openCase,
  rotateAgain,
  text,
  whileDown,
} from "./tail-case.ts";

const NAMES: Names = (generation) => `app.log.${generation}`;
/** Seconds of the agent's clock, within which all is to have come. */
const SECONDS_MAX = 400;

/** Those to compress of so many generations, of which the first is the youngest, in the order in which that happens. */
const PACKED: Readonly<Record<string, (generations: number) => number[]>> = {
  "the youngest compressed first": (count) => upTo(count),
  "the oldest compressed first": (count) => upTo(count).reverse(),
  "every other one compressed": (count) => upTo(count).filter((generation) => generation % 2 === 0),
  "all but the youngest compressed": (count) => upTo(count).slice(1),
  "none compressed": () => [],
};

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** Ten lines each, and ten more in the file at the path. */
async function generations(bed: SourceBed, count: number, from: number, packed: readonly number[]) {
  await kernelTick();
  await rotateAgain(bed, NAMES, count, from);
  for (const generation of packed) {
    compress(bed.path(NAMES(generation)), "gz");
    await kernelTick();
  }
}

/** Until so many have come in all. */
async function untilArrived(bed: SourceBed, running: Running, lines: number): Promise<void> {
  for (let seconds = 0; seconds < SECONDS_MAX && bed.sink.arrived.length < lines; seconds += 1) {
    await bed.run(running, 1_000);
    bed.sink.ackAll();
  }
}

suite("generations of a path that come up while the agent is down arrive in order", () => {
  for (const [packing, packed] of Object.entries(PACKED)) {
    for (const openFilesMax of [1, 2, 3]) {
      test(`six, ${packing}, with ${openFilesMax} open files`, async () => {
        await using bed = await openCase({ openFilesMax });
        writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
        let running = bed.start({ path: bed.path("app.log") });
        await bed.step(running);
        running = await whileDown(bed, running, () => {
          // Of the file that is known something is unread as well.
          appendFileSync(bed.path("app.log"), text(numbered("app", 10, 10)));
          return generations(bed, 6, 20, packed(6));
        });
        await untilArrived(bed, running, 90);
        assert.deepEqual(bed.sink.lines(), numbered("app", 0, 90));
        assert.deepEqual(losses(bed), []);
        await bed.stop(running);
      });
    }
  }

  test("but one that cannot be unpacked is not waited for: the others come, and it as soon as it can", async () => {
    await using bed = await openCase({ openFilesMax: 1 });
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      appendFileSync(bed.path("app.log"), text(numbered("app", 10, 10)));
      return generations(bed, 4, 20, [4]);
    });
    // As if its disk were full.
    Object.defineProperty(bed.checkpoints, "folder", { value: bed.path("full"), configurable: true });
    await untilArrived(bed, running, 50);
    assert.deepEqual(bed.sink.lines(), [...numbered("app", 0, 10), ...numbered("app", 30, 40)]);
    Reflect.deleteProperty(bed.checkpoints, "folder");
    await untilArrived(bed, running, 70);
    assert.deepEqual(bed.sink.lines().slice(50), numbered("app", 10, 20));
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("more of them compressed than are unpacked at a time, the youngest first, also after another restart", async () => {
    await using bed = await openCase({ autoAck: false });
    const count = UNPACKED_MAX + 6;
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    bed.sink.ackAll();
    running = await whileDown(bed, running, () => generations(bed, count, 10, upTo(count)));
    // As many as may be are unpacked, and nothing is acknowledged.
    await bed.step(running);
    running = await whileDown(bed, running);
    const before = bed.sink.arrived.length;
    await untilArrived(bed, running, before + 10 * (count + 1));
    const lines = bed.sink.lines().slice(before);
    assert.deepEqual(lines, numbered("app", 10, 10 * (count + 1)));
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });
});
