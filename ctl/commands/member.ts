import type { Command } from "commander";
import type { Session } from "../session.ts";
import { isSerializable } from "./get.ts";

/** `member list` */
export function addMember(program: Command, session: Session): void {
  const member = program.command("member").description("Membership related commands");
  const list = member
    .command("list")
    .description("Lists all members in the cluster")
    .option("--consistency <l|s>", "Linearizable(l) or Serializable(s)", "l");
  list.action(async () => {
    const { consistency } = list.opts<{ readonly consistency: string }>();
    const linearizable = !isSerializable(consistency);
    const write = session.writer("memberList");
    const client = await session.client();
    write(await client.memberList({ linearizable, signal: session.signal }));
  });
}
