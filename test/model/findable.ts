import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import { isTellable } from "../../logagent/source/compressed-file.ts";
import type { Content } from "./content.ts";
import type { Facts } from "./facts.ts";
import { folderOf } from "./world.ts";

/**
 * Notes which contents nobody could find now: of those the agent need not have what it has not seen. `records`: what the agent
 * knows; undefined while none lives.
 */
export function noteMissed(facts: Facts, records: Iterable<CheckpointRecord> | undefined): void {
  const all = records === undefined ? undefined : [...records];
  for (const content of facts.world.contents) {
    if (content.isCut || content.inode.agentFds > 0) continue;
    content.unheld = true;
    // While no agent lives, nobody misses anything.
    if (all !== undefined) content.missed ||= !isFindable(content, facts, all);
  }
}

function isFindable(content: Content, facts: Facts, records: readonly CheckpointRecord[]): boolean {
  if (content.packedAt !== undefined) return isFindablePacked(content, content.packedAt, facts, records);
  const paths = [...content.inode.paths];
  if (facts.hasMatch(content)) return true;
  if (paths.some((path) => isUnseenRotated(content, path, facts, records))) return true;
  const about = records.filter((record) => facts.isAbout(record, content));
  return paths.map(folderOf).some((folder) =>
    about.some((record) => {
      const own = folderOf(record.path);
      return folder === own || folderOf(folder) === own || folder === record.folder;
    }),
  );
}

function isFindablePacked(
  content: Content,
  packedAt: string,
  facts: Facts,
  records: readonly CheckpointRecord[],
): boolean {
  // To the agent it was replaced, not packed.
  const { ino, birthNs } = content.inode;
  if (facts.world.inodes.some((other) => other.ino === ino && other.birthNs === birthNs)) return false;
  // What could not be read is known by nothing but its number.
  if (content.unreadFrom !== undefined) return false;
  const known = records.filter((record) => facts.isAbout(record, content));
  if (known.some((record) => isTellable(record) && record.isResting !== true)) return true;
  // What little is known of another one may be what it begins with as well: then it may be that one.
  const isAlike = records.some(
    ({ fingerprint }) => fingerprint.length > 0 && content.beginsWith(fingerprint),
  );
  return !isAlike && isUnseenRotated(content, packedAt, facts, records);
}

/** It was at a path where an older file was known, and was rotated on before anybody looked. */
function isUnseenRotated(
  content: Content,
  path: string,
  facts: Facts,
  records: readonly CheckpointRecord[],
): boolean {
  const { plan, world, ids } = facts;
  const { lane, inode, number, isOdd, isLate } = content;
  if (!plan.hasBirthTimes || plan.ops.some(({ kind }) => kind === "jump clock")) return false;
  if (isOdd || isLate || world.links.has(lane) || !path.startsWith(`${lane}.`)) return false;
  // One that is older is back: to the agent it never left.
  const there = world.at(lane);
  if (world.contents.some((other) => other.inode === there && other.number < number)) return false;
  // As well when the one that is there now has its number again, and was born within the same tick.
  const isMistaken = ({ id, path: at, ino, birthtimeNs }: CheckpointRecord) =>
    at === lane &&
    ino === there?.ino &&
    birthtimeNs === there.birthNs &&
    ids.ownersOf(id, world.contents).every((owner) => owner.inode !== there);
  if (records.some(isMistaken)) return false;
  // A content that another one was before, in the same file, is found by that one's record.
  const isFirst = world.contents.every((other) => other.inode !== inode || other.number >= number);
  const older = records.filter((record) => {
    const owners = ids.ownersOf(record.id, world.contents);
    return record.path === lane && owners.some((owner) => owner.number < number && owner.lane === lane);
  });
  return isFirst && facts.matches(lane) && older.length > 0;
}
