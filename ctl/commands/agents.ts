import type { Command } from "commander";
import { fleetReport } from "../fleet/report.ts";
import type { Session } from "../session.ts";

/** Keys asked for at a time: a fleet of thousands is more than one message should hold. */
const PAGE_KEYS = 1_000;

/** `agents [--prefix /logagent]`: who is alive, what config each runs, and how far behind it is. */
export function addAgents(program: Command, session: Session): void {
  const command = program
    .command("agents")
    .description("Shows the agents: who is alive, what config each runs, how far behind it is")
    .option("--prefix <key>", "where the agents' keys are", "/logagent");
  command.action(async () => {
    const { prefix } = command.opts<{ readonly prefix: string }>();
    const write = session.writer("agents");
    const folder = `${prefix.replace(/\/+$/, "")}/`;
    const list = fleetReport(prefix, await readFolder(session, folder), Date.now());
    write(list);
    if (list.length === 0) session.io.err(`No agents under ${folder}\n`);
  });
}

/** All keys of a folder at one revision, a page at a time. */
async function readFolder(session: Session, folder: string) {
  const client = await session.client();
  const { signal } = session;
  const first = await client.range(folder, { prefix: true, limit: PAGE_KEYS, signal });
  const kvs = [...first.kvs];
  const rangeEnd = `${folder.slice(0, -1)}0`;
  for (let page = first; page.more; ) {
    const last = kvs.at(-1)?.key ?? Buffer.alloc(0);
    const next = Buffer.concat([last, Buffer.from([0])]);
    const { revision } = first.header;
    page = await client.range(next, { rangeEnd, limit: PAGE_KEYS, revision, signal });
    kvs.push(...page.kvs);
  }
  return kvs;
}
