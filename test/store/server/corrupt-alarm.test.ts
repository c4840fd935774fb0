import assert from "node:assert/strict";
import { test } from "node:test";
import { idText } from "../../../store/raft/id-text.ts";
import { logctl } from "../../ctl/run-logctl.ts";
import { eventually } from "../../support/process.ts";
import { damage } from "./damage.ts";
import { type BedMember, MembersBed } from "./members-bed.ts";

/** Runs logctl as docs/operations.md tells, with these members as its endpoints. */
async function ctl(members: readonly BedMember[], ...args: string[]): Promise<string> {
  const endpoint = members.map((member) => member.endpoint).join(",");
  const { code, stdout, stderr } = await logctl(args, { endpoint });
  assert.equal(code, 0, `logctl ${args.join(" ")}: ${stderr}`);
  return stdout.toString();
}

function printedVariables(output: string): Record<string, string> {
  return Object.fromEntries(
    [...output.matchAll(/^(ETCD_\w+)="(.*)"$/gm)].map(([, name, value]) => [name, value]),
  );
}

/** "A disk is lost, or a machine goes for good" of docs/operations.md. */
async function replace(bed: MembersBed, member: BedMember): Promise<void> {
  const id = idText(member.id);
  await member.stop();
  const rest = bed.members.filter((one) => one !== member);
  await bed.leader();
  await ctl(rest, "member", "remove", id);
  const added = await ctl(rest, "member", "add", member.name, "--peer-urls", member.wires.url);
  const replacement = await bed.replace(member, printedVariables(added));
  await bed.leader();
  await eventually(async () => assert.ok((await replacement.status()).leader !== 0n));
}

/** Stops members, changes what they have of a key, and starts them again. */
async function damageWhileStopped(members: readonly BedMember[], key: string): Promise<void> {
  for (const member of members) {
    await member.stop();
    await damage(member, key, `damaged at ${member.name}`);
    await member.start();
  }
}

async function refused(bed: MembersBed): Promise<void> {
  const corrupt = { code: 15, details: "etcdserver: corrupt cluster" };
  for (const member of bed.members) {
    await eventually(() => assert.rejects(member.get("sound"), corrupt));
    await assert.rejects(member.put("k"), corrupt);
  }
}

/** Nobody is refused, and everybody is found to hold the same. */
async function sound(bed: MembersBed): Promise<void> {
  const leader = await bed.leader();
  const before = leader.logged.length;
  assert.equal(await ctl(bed.members, "alarm", "list"), "");
  for (const member of bed.members) {
    assert.equal(await member.get("k"), "v", member.name);
    await member.put(`after-${member.name}`);
  }
  const members = JSON.parse(await ctl(bed.members, "endpoint", "hashkv", "--rev=3", "-w", "json"));
  assert.equal(new Set(members.map(({ HashKV }: { HashKV: { hash: number } }) => HashKV.hash)).size, 1);
  await eventually(() => assert.ok(leader.logged.slice(before).includes("members hold the same data")));
}

async function corruptBed(): Promise<MembersBed> {
  const bed = await MembersBed.open({ flags: ["--corrupt-check-time=300ms"] });
  const leader = await bed.leader();
  for (const key of ["sound", "k"]) await leader.put(key, "v");
  for (const member of bed.members) await member.get("k");
  return bed;
}

test("CORRUPT that names a member goes away as the documentation says: the member is replaced, the alarm disarmed", async () => {
  await using bed = await corruptBed();
  const [victim] = (await bed.followers()) as [BedMember];
  const id = victim.id;
  await damageWhileStopped([victim], "k");
  await refused(bed);
  assert.equal(await ctl(bed.members, "alarm", "list"), `memberID:${id} alarm:CORRUPT\n`);
  await replace(bed, victim);
  assert.equal(await ctl(bed.members, "alarm", "disarm"), `memberID:${id} alarm:CORRUPT\n`);
  await sound(bed);
});

test("CORRUPT that names none goes away as the documentation says: all but the member that is right are replaced", async () => {
  await using bed = await corruptBed();
  const right = await bed.leader();
  const others = await bed.followers();
  await damageWhileStopped(others, "k");
  await refused(bed);
  assert.equal(await ctl(bed.members, "alarm", "list"), "memberID:0 alarm:CORRUPT\n");
  const hashes = await ctl(bed.members, "endpoint", "hashkv", "--rev=3");
  assert.equal(
    new Set(
      hashes
        .trim()
        .split("\n")
        .map((line) => line.split(", ")[1]),
    ).size,
    3,
    hashes,
  );
  const leader = await bed.leader();
  if (leader !== right) await ctl([leader], "move-leader", idText(right.id));
  for (const other of others) {
    await replace(bed, other);
    assert.equal(await bed.leader(), right, "the snapshot was of the one that is right");
  }
  await ctl(bed.members, "alarm", "disarm");
  await sound(bed);
});
