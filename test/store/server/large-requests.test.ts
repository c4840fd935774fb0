import assert from "node:assert/strict";
import { test } from "node:test";
import { localAddresses } from "../../../deploy/cluster/local-addresses.ts";
import { LocalCluster } from "../../../deploy/cluster/local-cluster.ts";
import {
  HashKVRequest,
  HashKVResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from "../../../store/proto/gen/rpc.ts";
import { RawClient } from "../../compat/raw-client.ts";
import { temporaryFolder } from "../../support/process.ts";

const OPS = 128;
const VALUE_BYTES = 64 * 1024;
const ROUNDS = 3;
const TIMEOUT_MS = 60_000;

test("transactions of 128 large puts, scans of them all and hashes change no term", async () => {
  const addresses = await localAddresses({ size: 3, preferDefaults: false });
  const args = [`--max-request-bytes=${2 * OPS * VALUE_BYTES}`];
  const cluster = new LocalCluster({ folder: temporaryFolder("large"), addresses, args });
  try {
    await cluster.start();
    const terms = async () =>
      Promise.all(cluster.members.map(async (member) => (await member.status())?.raftTerm));
    const before = await terms();
    assert.equal(new Set(before).size, 1);
    const value = Buffer.alloc(VALUE_BYTES, 7);
    for (let round = 0; round < ROUNDS; round += 1) {
      using client = new RawClient(cluster.endpoints[round % 3] ?? "");
      const success = Array.from({ length: OPS }, (_, index) => ({
        request: { $case: "requestPut", value: { key: Buffer.from(`${round}/${index}`), value } },
      }));
      await client.call("KV/Txn", [TxnRequest, TxnResponse], { success }, TIMEOUT_MS);
    }
    const everything = { key: Buffer.from([0]), rangeEnd: Buffer.from([0]) };
    for (const endpoint of cluster.endpoints) {
      using client = new RawClient(endpoint);
      const { kvs } = await client.call("KV/Range", [RangeRequest, RangeResponse], everything, TIMEOUT_MS);
      assert.equal(kvs.length, ROUNDS * OPS);
      await client.call("Maintenance/HashKV", [HashKVRequest, HashKVResponse], {}, TIMEOUT_MS);
    }
    assert.deepEqual(await terms(), before);
  } finally {
    await cluster.close();
  }
});
