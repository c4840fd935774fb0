import { setTimeout as sleep } from "node:timers/promises";
import { type History, REGISTERS } from "./history.ts";
import type { RegisterClient } from "./register-client.ts";

const EVERY_MS = 50;
const KEY = `${REGISTERS}recovery`;

/**
 * Resolves with the milliseconds from now until a write that began after now is acknowledged. Each client sends one every
 * 50 ms, whatever became of those before. Throws when none is acknowledged in time.
 */
export async function timeToRecover(options: {
  readonly history: History;
  /** One for each endpoint, with short deadlines. */
  readonly clients: readonly RegisterClient[];
  readonly timeoutMs: number;
  readonly name: string;
}): Promise<number> {
  const { history, clients, timeoutMs, name } = options;
  const startMs = performance.now();
  const under = new Set<Promise<void>>();
  let recoveredMs: number | undefined;
  const put = async (client: RegisterClient, value: string) => {
    const write = history.beginWrite(`${client.name}: put`, [KEY], value);
    const reply = await client.put([KEY], value);
    if (reply.kind === "done") {
      recoveredMs ??= performance.now() - startMs;
      history.wrote(write, reply.revision);
    } else if (reply.kind === "failed") history.notWritten(write, reply.code);
    else history.lostSight(write, reply.code);
  };
  for (let tries = 1; recoveredMs === undefined; tries += 1) {
    if (performance.now() - startMs > timeoutMs) {
      history.violate("live", `${name}: no write was acknowledged within ${timeoutMs} ms`);
      break;
    }
    for (const client of clients) {
      const one = put(client, `${name}.${client.name}.${tries}`).finally(() => under.delete(one));
      under.add(one);
    }
    await sleep(EVERY_MS);
  }
  await Promise.all(under);
  return recoveredMs ?? timeoutMs;
}
