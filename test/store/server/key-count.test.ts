import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { runAtOnce } from "../../../base/steps.ts";
import {
  AlarmRequest,
  AlarmResponse,
  AlarmType,
  PutRequest,
  PutResponse,
} from "../../../store/proto/gen/rpc.ts";
import { StoreMetrics } from "../../../store/server/metrics.ts";
import { temporaryFolder } from "../../support/process.ts";
import { MEMBER_ID } from "./lone-member.ts";
import { MemberBed } from "./member-bed.ts";

async function filled(keys: number): Promise<MemberBed> {
  const bed = await MemberBed.open();
  for (let i = 0; i < keys; i += 1) {
    await bed.call("etcdserverpb.KV/Put", [PutRequest, PutResponse], { key: Buffer.from(`k${i}`) });
  }
  return bed;
}

suite("MemberServices.countKeys()", () => {
  test("counts keys, none while a snapshot is installed, and those of the snapshot then", async () => {
    await using sender = await filled(40);
    await using bed = await filled(3);
    assert.equal(await bed.services.countKeys(), 3);
    const path = join(temporaryFolder("snapshot"), "db");
    await sender.member.replica.state.flush();
    await sender.member.backend.copy(path);
    const gate = Promise.withResolvers<void>();
    const installing = bed.member.replica.state.install(path, async (steps) => {
      await gate.promise;
      return runAtOnce(steps);
    });
    assert.equal(await bed.services.countKeys(), undefined);
    gate.resolve();
    await installing;
    assert.equal(await bed.services.countKeys(), 40);
  });

  test("has nothing to say of a corrupt state", async () => {
    await using bed = await filled(3);
    const alarm = { action: 1, memberID: MEMBER_ID, alarm: AlarmType.CORRUPT };
    await bed.call("etcdserverpb.Maintenance/Alarm", [AlarmRequest, AlarmResponse], alarm);
    assert.equal(await bed.services.countKeys(), undefined);
  });
});

test("StoreMetrics leaves a gauge out of the scrapes at which it cannot be read, and no other", async () => {
  await using bed = await filled(1);
  const metrics = new StoreMetrics();
  const counts = [7, undefined, 8];
  metrics.observe({
    ...bed.member,
    pendingProposals: () => 0,
    countKeys: async () => counts.shift(),
  });
  for (const expected of [["7"], [], ["8"]]) {
    const text = await metrics.registry.metrics();
    const found = [...text.matchAll(/^etcd_debugging_mvcc_keys_total (.*)$/gm)].map(([, value]) => value);
    assert.deepEqual(found, expected);
    assert.match(text, /^etcd_server_has_leader 1$/m);
  }
});
