import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import { hold } from "../support/violation.ts";
import type { AgentLife } from "./agent-life.ts";
import type { Content } from "./content.ts";
import type { Facts } from "./facts.ts";
import { ENOUGH } from "./plan.ts";

/** At every moment: what the agent that lives has in its checkpoints, and of the files that it holds. */
export function checkAccount({ ids, world }: Facts, { source, checkpoints }: AgentLife): void {
  for (const record of checkpoints.records()) {
    checkSums(record);
    const { id, offset } = record;
    const contents = ids.contentsOf(id, world.contents);
    const holds = offset === 0 || contents.some((content) => content.settled.has(0, offset));
    hold("a checkpoint says what is settled", holds, () => `${id}: ${offset}, ${contents.join(", ")}`);
  }
  for (const file of source?.files ?? []) {
    const { id } = file.record;
    const contents = ids.contentsOf(id, world.contents);
    const isSent = file.offset === 0 || contents.some((content) => content.sent.has(0, file.offset));
    hold("what is passed over was sent", isSent, () => `${id}: ${file.offset}`);
  }
}

/** What was seen of a content is acknowledged, lost, or held. */
function checkSums({ id, seen, offset, account }: CheckpointRecord): void {
  const { acked, lost, framed, read } = account;
  const isWhole = account.seen === acked + lost + (seen - offset) && seen >= offset;
  hold("what was seen is acked, lost or held", isWhole, () => JSON.stringify({ id, seen, offset, account }));
  hold("acked <= framed <= read", acked <= framed && framed <= read, () => JSON.stringify({ id, account }));
}

/** When the last descriptor of a file is closed by a task that goes on. */
export function checkLetGo(facts: Facts, content: Content): void {
  if (content.isCut) return;
  const gap = content.settled.firstGap(content.seen);
  if (gap === undefined) return;
  const isSaid = facts.lossRecords.some((loss) => facts.ids.mayBe(loss.file, content));
  // With many files it may give way to others, and is opened again by its name.
  const isFoundAgain = facts.plan.openFilesMax < ENOUGH && facts.hasMatch(content);
  hold(
    "a file is held until it is shipped",
    isSaid || isFoundAgain,
    () => `[${gap.from}, ${gap.to}) of ${content}`,
  );
}
