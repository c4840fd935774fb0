import type { Command } from "commander";
import type { Session } from "../session.ts";

/** `alarm list` */
export function addAlarm(program: Command, session: Session): void {
  const alarm = program.command("alarm").description("Alarm related commands");
  alarm
    .command("list")
    .description("Lists all alarms")
    .action(async () => {
      const write = session.writer("alarms");
      write(await (await session.client()).alarms({ signal: session.signal }));
    });
}
