import { hold } from "../support/violation.ts";
import type { Arrival } from "./arrivals.ts";
import { ByteSet } from "./byte-set.ts";
import type { Content } from "./content.ts";
import type { Facts } from "./facts.ts";
import { ENOUGH } from "./plan.ts";

/** At the end: every byte that there was is where the agent says it is. */
export function checkEnd(facts: Facts): void {
  const { contents } = facts.world;
  for (const content of contents) {
    if (!isPromised(content, facts)) continue;
    const lost = lostOf(content, facts);
    const gone = new ByteSet();
    gone.addAll(content.settled);
    gone.addAll(lost);
    gone.addAll(content.held);
    for (const next of content.unnoticedSuccessors(contents)) {
      gone.addAll(next.settled);
      gone.addAll(next.held);
    }
    for (const before of content.unnoticedPredecessors(contents)) gone.addAll(before.settled);
    const seenGap = gone.firstGap(content.seen);
    hold("what was seen is settled, held or lost", seenGap === undefined, () => say(content, seenGap));
    if (content.isCut) {
      const isSettled = content.settled.firstGap(content.size) === undefined;
      const isSaid =
        isSettled || content.isUnnoticed(contents) || gone.has(content.seen, Number.POSITIVE_INFINITY);
      hold("what nobody saw go may be lost", isSaid, () => `${content}`);
    }
    if (content.isCut || content.missed) continue;
    const gap = unsettled(content);
    hold("what is there is settled", gap === undefined, () => say(content, gap));
  }
  for (const loss of facts.lossRecords) {
    const { ids } = facts;
    // A packed copy of what was not acknowledged is read on under the id of the file or of the copy: the other one is said to be gone.
    const isOfCopy = ({ isCopy, packedAt }: Content) => isCopy && packedAt !== undefined;
    if (ids.ownersOf(loss.file, contents).some(isOfCopy)) continue;
    const about = contents.filter((one) => ids.mayBe(loss.file, one) || ids.isUnsent(loss.file, one));
    const isTrue = about.some((content) => content.isCut || content.unheld);
    hold("what is lost is not there", isTrue, () => `${JSON.stringify(loss)} ${about.join(", ")}`);
    const { to } = loss;
    const wasThere = to === "unknown" || about.some((content) => content.size >= to || content.isCutAmid);
    hold("what is lost was there", wasThere, () => `${JSON.stringify(loss)} ${about.join(", ")}`);
  }
}

/** While the disk cannot read a file, all others are shipped; those behind it at its path after a minute. */
export function checkOthersOfBad(facts: Facts): void {
  // One that was rotated keeps its descriptor until it can be read, and may be one of the last that there are.
  if (facts.plan.openFilesMax < ENOUGH) return;
  for (const content of facts.world.contents) {
    if (!isPromised(content, facts) || content.isCut || content.missed || content.inode.bad !== undefined)
      continue;
    const gap = unsettled(content);
    hold("a file that cannot be read stalls no other", gap === undefined, () => say(content, gap));
  }
}

/** The first range of a content that is neither settled nor the unfinished line at its end. */
function unsettled(content: Content): ReturnType<ByteSet["firstGap"]> {
  const there = new ByteSet();
  there.addAll(content.settled);
  there.addAll(content.held);
  return there.firstGap(content.size);
}

/** What was at a path earlier arrives earlier, but for what was written after it had moved. */
export function checkOrderOfLanes({ plan }: Facts, arrivals: readonly Arrival[]): void {
  // Nothing tells the older file: neither its birth nor its last change.
  if (!plan.hasBirthTimes && plan.tickMs > 0) return;
  // After a restart births are all there is, and they went back.
  if (plan.ops.some(({ kind }) => kind === "jump clock")) return;
  const last = new Map<string, Content>();
  for (const { life, path, content, from } of arrivals) {
    if (content === undefined || content.isLate || content.missed || content.isOdd) continue;
    if (content.isUnordered) continue;
    const lane = `${life} ${path}`;
    const before = last.get(lane);
    // Born in one tick of the clock: nobody can say which was first.
    const isTie = before?.inode.birthNs === content.inode.birthNs;
    const isInOrder = before === undefined || before.number <= content.number || isTie;
    hold("order holds at a path", isInOrder, () => `${content} from ${from} after ${before}`);
    last.set(lane, content);
  }
}

/** Only what was at a path of the entry once is the agent's. */
function isPromised(content: Content, facts: Facts): boolean {
  if (content.isPacked) return false;
  if (facts.matches(content.lane)) return true;
  return content.seen > 0;
}

/** Of which a record says that it is lost. */
function lostOf(content: Content, { lossRecords, ids }: Facts): ByteSet {
  const lost = new ByteSet();
  for (const { file, from, to } of lossRecords) {
    if (ids.mayBe(file, content)) lost.add(from, to === "unknown" ? Number.POSITIVE_INFINITY : to);
  }
  return lost;
}

function say(content: Content, gap: { readonly from: number; readonly to: number } | undefined): string {
  const text = content.bytes.subarray(gap?.from ?? 0, gap?.to ?? 0).toString();
  return `[${gap?.from}, ${gap?.to}) of ${content}: ${JSON.stringify(text.slice(0, 200))}`;
}
