import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { outcomeOf, type Patch } from "../support/patched-source.ts";
import type { PatchedRun } from "./patched-worker.ts";

/** A bug that is not found in so many sequences would not be found by any run that somebody waits for. */
const SEEDS_MAX = 1000;

const LAWS = [
  "a checkpoint says what is settled",
  "a file that cannot be read stalls no other",
  "a content has one id",
  "a file is held until it is shipped",
  "an id has one content",
  "an id was minted",
  "nothing durable is sent again",
  "order holds at a path",
  "order holds in a file",
  "what is passed over was sent",
  "what is lost is not there",
  "what is sent was in a file",
  "what is lost was there",
  "what is there is settled",
  "what is written adds up",
  "what nobody saw go may be lost",
  "what was seen is acked, lost or held",
  "acked <= framed <= read",
  "what was seen is settled, held or lost",
];

suite("the model finds", () => {
  test("an offset that moves before the acknowledgement", () =>
    assertFound({
      file: "logagent/source/ship-file.ts",
      find: "  file.advance(spans.to, tail);",
      replace: "  file.advance(spans.to, tail); file.record.offset = spans.to; file.record.tail = tail;",
    }));

  test("a fingerprint that is not checked", () =>
    assertFound({
      file: "logagent/source/file-hash.ts",
      find: "  if (expected.length === 0) return true;\n  return bytes",
      replace: "  return true || bytes",
    }));

  test("a hash before the offset that is not checked after a restart", () =>
    assertFound({
      file: "logagent/source/record-of-file.ts",
      find: "holdsShipped(fd, record) && holdsFurthest(fd, record)",
      replace: "(holdsShipped(fd, record) || true) && holdsFurthest(fd, { furthest: undefined })",
    }));

  test("a descriptor that is dropped on rename", () =>
    assertFound({
      file: "logagent/source/tail-source.ts",
      find: "    } else if (file.hasUnread) {",
      replace:
        '    } else if (file.place.kind === "moved") { this.#closing.release(file);\n    } else if (file.hasUnread) {',
    }));

  test("a checkpoint that moves over a gap", () =>
    assertFound({
      file: "logagent/source/acked-ranges.ts",
      find: "if (from <= this.#contiguousTo)",
      replace: "if (from <= to)",
    }));

  test("a truncation that is not said", () =>
    assertFound({
      file: "logagent/source/content-change.ts",
      find: "  if (file.next === undefined) context.lostRest(file.record, deliverableTo(file), reason);",
      replace: "  if (file.next === undefined) {}",
    }));

  test("a successor that does not wait for its turn", () =>
    assertFound({
      file: "logagent/source/lanes.ts",
      find: 'if (other.drain.kind === "open") return false;',
      replace: "",
    }));

  test("a deleted file that gives way before it is read", () =>
    assertFound({
      file: "logagent/source/tailed-file.ts",
      find: 'if (this.place.kind === "moved" || this.isDeleted) return { kind: "bound" };',
      replace: 'if (this.isDeleted) return { kind: "lingering", sinceMs: 0 };',
    }));

  test("what is seen of a closed file, and forgotten", () =>
    assertFound({
      file: "logagent/source/unread.ts",
      find: "  if (!noteSeen(file, record, checkpoints)) return false;",
      replace: "  if (file.size > 0) return true;\n  if (!noteSeen(file, record, checkpoints)) return false;",
    }));

  test("a file that gave way and is read again before it is acknowledged", () =>
    assertFound({
      file: "logagent/source/file-turns.ts",
      find: "    if (content.isSettled) return;",
      replace: "    return;",
    }));

  test("a file that nobody looks at any more", () =>
    assertFound({
      file: "logagent/source/tailed-file.ts",
      find: "    this.#looks?.set(this, dueMs);",
      replace: "    if (dueMs > 0) this.#looks?.delete(this);\n    else this.#looks?.set(this, dueMs);",
    }));

  test("an id that is used before it is on disk", () =>
    assertFound({
      file: "logagent/checkpoint/checkpoint-store.ts",
      find: "return this.#fresh.has(record) ? this.persisted() : Promise.resolve();",
      replace: "return Promise.resolve();",
    }));

  test("a file that is not held because it cannot be read", () =>
    assertFound({
      file: "logagent/source/record-of-file.ts",
      find: "    if (errorCode(error) === undefined) throw error;",
      replace: "    throw error;",
    }));
});

/** In a thread of its own, whose sources have the bug. */
async function assertFound(patch: Patch): Promise<void> {
  const run: PatchedRun = { patch, toSeed: SEEDS_MAX };
  const { seed, law } = await outcomeOf(new URL("./patched-worker.ts", import.meta.url), run);
  assert.notEqual(seed, undefined, `${SEEDS_MAX} sequences found nothing`);
  assert.ok(LAWS.includes(law), `seed ${seed}: ${law}`);
}
