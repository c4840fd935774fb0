import assert from "node:assert/strict";
import { test } from "node:test";
import { requireLeader } from "../../../store/server/require-leader.ts";
import type { Handler } from "../../../store/server/service.ts";

test("requireLeader() refuses calls that ask for a leader while there is none, and passes all others", async () => {
  const status = {
    id: 1n,
    leader: 0n,
    role: "follower",
    term: 1,
    commit: 0,
    applied: 0,
    lastIndex: 0,
    vote: 0n,
    isLearner: false,
    transferee: 0n,
  } as const;
  let leader = 0n;
  const replica = {
    get status() {
      return { ...status, leader };
    },
  };
  const answered: string[] = [];
  const table = requireLeader(
    new Map<string, Handler>([
      ["/unary", { kind: "unary", call: async (bytes) => bytes }],
      ["/stream", { kind: "stream", call: async () => void answered.push("stream") }],
    ]),
    replica,
  );
  const unary = table.get("/unary");
  const stream = table.get("/stream");
  assert.ok(unary?.kind === "unary" && stream?.kind === "stream");
  const context = (metadata: [string, string][]) => ({
    metadata: new Map(metadata),
    signal: new AbortController().signal,
    peer: "test",
  });
  const asking = context([["hasleader", "true"]]);
  async function* none(): AsyncGenerator<Uint8Array> {
    // No requests.
  }
  const respond = async () => undefined;
  const bytes = Buffer.from("x");
  await assert.rejects(unary.call(bytes, asking), { code: "NoLeader" });
  await assert.rejects(stream.call(none(), respond, asking), { code: "NoLeader" });
  assert.equal(await unary.call(bytes, context([])), bytes);
  leader = 1n;
  assert.equal(await unary.call(bytes, asking), bytes);
  await stream.call(none(), respond, asking);
  assert.deepEqual(answered, ["stream"]);
});
