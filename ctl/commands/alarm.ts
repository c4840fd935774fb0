import type { Command } from "commander";
import type { Session } from "../session.ts";

/** `alarm list | disarm` */
export function addAlarm(program: Command, session: Session): void {
  const alarm = program.command("alarm").description("Alarm related commands");
  alarm
    .command("list")
    .description("Lists all alarms")
    .action(async () => {
      const write = session.writer("alarms");
      write(await (await session.client()).alarms({ signal: session.signal }));
    });
  alarm
    .command("disarm")
    .description("Disarms all alarms")
    .action(async () => {
      const write = session.writer("alarms");
      const client = await session.client();
      const { signal } = session;
      const { alarms } = await client.alarms({ signal });
      const disarmed = [];
      for (const one of alarms) disarmed.push(...(await client.disarmAlarm(one, { signal })).alarms);
      // Of several answers, and so without the header of one.
      write({ alarms: disarmed });
    });
}
