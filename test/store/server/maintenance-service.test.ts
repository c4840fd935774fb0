import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DowngradeRequest,
  DowngradeResponse,
  HashRequest,
  HashResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  PutRequest,
  PutResponse,
} from "../../../store/proto/gen/rpc.ts";
import { MemberBed } from "./member-bed.ts";

const VALIDATE = 0;
const ENABLE = 1;
const CANCEL = 2;

function downgrade(bed: MemberBed, action: number, version = ""): Promise<DowngradeResponse> {
  const types = [DowngradeRequest, DowngradeResponse] as const;
  return bed.call("etcdserverpb.Maintenance/Downgrade", types, { action, version });
}

test("Downgrade has no version to go to, and none under way", async () => {
  await using bed = await MemberBed.open();
  for (const action of [VALIDATE, ENABLE]) {
    await assert.rejects(downgrade(bed, action, "3.6"), {
      grpcCode: 3,
      message: "etcdserver: invalid downgrade target version",
    });
    for (const version of ["", "3", "3.6.x", "3.6.0 "]) {
      await assert.rejects(downgrade(bed, action, version), {
        grpcCode: 3,
        message: "etcdserver: wrong downgrade target version format",
      });
    }
  }
  const { header, version } = await downgrade(bed, CANCEL);
  assert.deepEqual([version, header?.revision], ["3.7", 1]);
  await assert.rejects(downgrade(bed, 3), { grpcCode: 2, message: "etcdserver: unknown method" });
});

test("Hash is the same for the same requests, and another after a lease alone", async () => {
  await using one = await MemberBed.open();
  await using other = await MemberBed.open();
  const hash = (bed: MemberBed) => bed.call("etcdserverpb.Maintenance/Hash", [HashRequest, HashResponse]);
  const put = { key: Buffer.from("k"), value: Buffer.from("v") };
  const grant = { ID: 7n, TTL: 600 };
  for (const bed of [one, other]) await bed.call("etcdserverpb.KV/Put", [PutRequest, PutResponse], put);
  await one.call("etcdserverpb.Lease/LeaseGrant", [LeaseGrantRequest, LeaseGrantResponse], grant);
  const withLease = await hash(one);
  assert.equal(withLease.header?.revision, 2);
  assert.notEqual((await hash(other)).hash, withLease.hash);
  await other.call("etcdserverpb.Lease/LeaseGrant", [LeaseGrantRequest, LeaseGrantResponse], grant);
  assert.equal((await hash(other)).hash, withLease.hash);
});
