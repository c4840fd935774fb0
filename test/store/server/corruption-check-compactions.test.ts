import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { pino } from "pino";
import { systemClock } from "../../../base/clock.ts";
import { CodedError } from "../../../base/errors.ts";
import type { KvHash } from "../../../store/apply/types.ts";
import {
  AlarmRequest,
  CompactionRequest,
  CompactionResponse,
  HashKVRequest,
  HashKVResponse,
} from "../../../store/proto/gen/rpc.ts";
import { CompactionHashCheck } from "../../../store/server/corruption-check-compactions.ts";
import { COMPACTION_HASH_CALL } from "../../../store/server/peer-calls.ts";
import { eventually } from "../../support/process.ts";
import { started } from "./cluster-bed.ts";
import { damage } from "./damage.ts";
import { type BedMember, MembersBed } from "./members-bed.ts";

/** By revision of a compaction: hash, and the compaction before it. */
type Hashes = Readonly<Record<number, readonly [hash: number, compactRevision: number]>>;

/** What a leader, 1n, makes of what others answer; a member without hashes is away. */
class CheckBed {
  readonly asked: string[] = [];
  readonly alarms: bigint[] = [];
  members: readonly (Hashes | undefined)[];
  readonly #check = new CompactionHashCheck();

  constructor(...members: readonly (Hashes | undefined)[]) {
    this.members = members;
  }

  check(): Promise<void> {
    const [own = {}] = this.members;
    const members = this.members.map((_, index) => started(BigInt(index + 1)));
    return this.#check.check({
      replica: {
        memberId: 1n,
        get status() {
          return assert.fail("what it leads is known");
        },
        readIndex: () => Promise.reject(new Error("no read is asked for")),
        state: { members, alarms: [], revision: 1_000 },
      },
      hashes: {
        now: () => Promise.reject(new Error("nothing is hashed for it")),
        compactions: Object.keys(own)
          .map((revision) => hashAt(own, Number(revision)))
          .reverse(),
      },
      callMember: async ({ peerUrls: [url] }, { method, body }) => {
        assert.equal(method, COMPACTION_HASH_CALL);
        const { revision } = HashKVRequest.decode(body);
        const index = members.findIndex(({ peerUrls }) => peerUrls[0] === url);
        this.asked.push(`${index + 1} at ${revision}`);
        const hashes = this.members[index];
        if (hashes?.[revision] === undefined) throw new CodedError("EPEERCALL", "there is none");
        return HashKVResponse.encode({ header: undefined, ...hashAt(hashes, revision) }).finish();
      },
      proposals: {
        propose: async (_, bytes) => {
          this.alarms.push(AlarmRequest.decode(bytes).memberID);
          return { kind: "done", revision: 1_000, response: Buffer.alloc(0) };
        },
      },
      clock: systemClock,
      logger: pino({ enabled: false }),
      signal: new AbortController().signal,
    });
  }
}

function hashAt(hashes: Hashes, revision: number): KvHash {
  const [hash, compactRevision] = hashes[revision] ?? assert.fail(`a hash at ${revision}`);
  return { hash, compactRevision, hashRevision: revision };
}

suite("CompactionHashCheck.check()", () => {
  const table: readonly [
    what: string,
    members: readonly (Hashes | undefined)[],
    alarms: readonly bigint[],
  ][] = [
    ["finds nothing where all agree", [{ 9: [5, 3] }, { 9: [5, 3] }, { 9: [5, 3] }], []],
    ["names a member that differs from a quorum", [{ 9: [5, 3] }, { 9: [6, 3] }, { 9: [5, 3] }], [2n]],
    ["names itself", [{ 9: [6, 3] }, { 9: [5, 3] }, { 9: [5, 3] }], [1n]],
    ["names the cluster where no quorum agrees", [{ 9: [5, 3] }, { 9: [6, 3] }, { 9: [7, 3] }], [0n]],
    ["names the cluster where who is away would decide", [{ 9: [5, 3] }, { 9: [6, 3] }, undefined], [0n]],
    ["passes over who is away", [{ 9: [5, 3] }, { 9: [5, 3] }, undefined], []],
    ["passes over another compaction before", [{ 9: [5, 3] }, { 9: [6, 4] }, { 9: [5, 3] }], []],
    ["finds it at an older compaction", [{ 4: [1, -1], 9: [5, 4] }, { 4: [2, -1] }, { 4: [1, -1] }], [2n]],
    ["has nothing to compare before a compaction", [{}, { 9: [6, 3] }, { 9: [5, 3] }], []],
  ];
  for (const [what, members, alarms] of table) {
    test(what, async () => {
      const bed = new CheckBed(...members);
      await bed.check();
      assert.deepEqual(bed.alarms, alarms);
    });
  }

  test("asks for what was compared no more, and again while somebody is missing", async () => {
    const old: Hashes = { 4: [1, -1] };
    const both: Hashes = { ...old, 9: [5, 4] };
    const bed = new CheckBed(both, both, old);
    await bed.check();
    assert.deepEqual(bed.asked.splice(0), ["2 at 9", "3 at 9", "2 at 4", "3 at 4"]);
    await bed.check();
    assert.deepEqual(bed.asked.splice(0), ["2 at 9", "3 at 9"]);
    bed.members = [both, both, both];
    await bed.check();
    assert.deepEqual(bed.asked.splice(0), ["2 at 9", "3 at 9"]);
    await bed.check();
    assert.deepEqual(bed.asked, []);
  });
});

test("a member whose file was damaged is found by what its compaction hashed", async () => {
  const flags = [
    "--corrupt-check-time=0",
    "--feature-gates=CompactHashCheck=true",
    "--compact-hash-check-time=100ms",
  ];
  await using bed = await MembersBed.open({ flags });
  const leader = await bed.leader();
  for (const key of ["k", "sound", "k"]) await leader.put(key, "v");
  const compact = async (revision: number) =>
    (await bed.leader()).call("KV/Compact", [CompactionRequest, CompactionResponse], { revision });
  await compact(3);
  await eventually(() => assert.ok(leader.logged.includes("members' compactions hashed the same data")));
  const [victim] = (await bed.followers()) as [BedMember];
  const { id } = victim;
  await victim.stop();
  assert.equal(await damage(victim, "k"), "v");
  await victim.start();
  await bed.leader();
  await compact(4);
  for (const member of bed.members) {
    const shown = `memberID:${id} alarm:CORRUPT`;
    await eventually(async () => assert.deepEqual((await member.status()).errors, [shown]));
  }
});
