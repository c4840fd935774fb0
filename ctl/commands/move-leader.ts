import type { Command } from "commander";
import { endpointList } from "../global-options.ts";
import { parseUint64 } from "../go-text.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";

/** `move-leader <transferee-member-id>`: asks the one of the endpoints that leads. */
export function addMoveLeader(program: Command, session: Session): void {
  const command = program
    .command("move-leader")
    .description("Transfers leadership to another etcd cluster member.")
    .argument("[transferee-member-id...]");
  command.action(async (ids: readonly string[]) => {
    const [text] = ids;
    if (text === undefined || ids.length > 1) throw new UsageError("move-leader command needs 1 argument");
    const to = parseUint64(text);
    const write = session.writer("moveLeader");
    const { signal } = session;
    const endpoints = endpointList(session.options);
    for (const endpoint of endpoints) {
      const client = await session.client(endpoint);
      const { header, leader } = await client.status(endpoint, { signal });
      if (header.memberId !== leader) continue;
      await client.cluster.moveLeader(to, { signal });
      return write({ from: leader, to });
    }
    throw new UsageError(`no leader endpoint given at [${endpoints.join(" ")}]`);
  });
}
