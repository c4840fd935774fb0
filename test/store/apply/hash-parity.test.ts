import assert from "node:assert/strict";
import { it } from "node:test";
import { runAtOnce } from "../../../base/steps.ts";
import type { KvHash } from "../../../store/apply/types.ts";
import { etcdctl, startEtcd } from "../../support/etcd.ts";
import { StateBed } from "./state-bed.ts";

interface EtcdHash {
  readonly hash: number;
  readonly compact_revision: number;
  readonly hash_revision: number;
}

it("StateMachine.hashKv() is etcd's own after the same requests: the records are the same, byte for byte", async () => {
  await using etcd = await startEtcd();
  const bed = new StateBed();
  const { endpoint } = etcd;

  async function ctl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await etcdctl(args, { endpoint });
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async function etcdHash(...args: string[]): Promise<KvHash> {
    const output = await ctl("endpoint", "hashkv", "--write-out=json", ...args);
    const [{ HashKV }] = JSON.parse(output) as [{ HashKV: EtcdHash }];
    const { hash, compact_revision: compactRevision, hash_revision: hashRevision } = HashKV;
    return { hash, compactRevision, hashRevision };
  }

  async function assertSameHash(after: string): Promise<void> {
    assert.deepEqual(runAtOnce(bed.state.hashKv(0)), await etcdHash(), after);
  }

  async function compact(revision: number): Promise<void> {
    await ctl("compaction", "--physical", `${revision}`);
    bed.compact(revision);
    await ctl("put", "again", `${revision}`);
    bed.put("again", `${revision}`);
    await assertSameHash(`a compaction at ${revision}`);
    while (bed.state.compactStep());
    await assertSameHash(`a finished compaction at ${revision}`);
    const kept = bed.state.compactionHashes.at(-1);
    assert.deepEqual(kept, await etcdHash(`--rev=${revision}`), `the hash of the compaction at ${revision}`);
  }

  await assertSameHash("nothing");
  for (const [key, value] of [
    ["a", "1"],
    ["a", "2"],
    ["b", "x".repeat(300)],
    ["\u00e9", ""],
  ] as const) {
    await ctl("put", key, value);
    bed.put(Buffer.from(key).toString("latin1"), value);
  }
  await assertSameHash("puts");
  await ctl("del", "a");
  bed.delete("a");
  await ctl("put", "c", "3");
  bed.put("c", "3");
  await assertSameHash("a deletion");

  const id = BigInt(/"ID":(\d+)/.exec(await ctl("lease", "grant", "1000", "--write-out=json"))?.[1] ?? 0);
  bed.grant(id, 1000);
  for (const key of ["l2", "l1"]) {
    await ctl("put", key, "v", `--lease=${id.toString(16)}`);
    bed.put(key, "v", { lease: id });
  }
  await assertSameHash("puts with a lease");
  await ctl("lease", "revoke", id.toString(16));
  bed.revoke(id);
  await assertSameHash("a revocation, which deletes in key order");

  await ctl("del", "b", "d");
  bed.delete("b", "d");
  await assertSameHash("a deletion of a range");
  for (const revision of [4, 6, bed.state.revision]) await compact(revision);
  await ctl("del", "", "--prefix");
  bed.delete("\0", "\0");
  await assertSameHash("a deletion of everything");
  await compact(bed.state.revision);
  await ctl("del", "again");
  bed.delete("again");
  await ctl("put", "after", "");
  bed.put("after", "");
  await compact(bed.state.revision - 1);
  await compact(bed.state.revision);
});
