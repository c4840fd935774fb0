import { spawn } from "node:child_process";
import type { WatchEvent } from "../store/client/types.ts";
import type { WatchAnswer } from "./format/format.ts";
import { goQuote } from "./go-text.ts";
import type { Session } from "./session.ts";
import { CommandFailed } from "./usage-error.ts";

export interface WatchWanted {
  readonly key: string;
  readonly rangeEnd: string | undefined;
  readonly prefix: boolean;
  /** 0: from now. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly progressNotify: boolean;
  /** Run for each event, with the event in its environment. */
  readonly execArgs: readonly string[];
}

const COMPACTED = "etcdserver: mvcc: required revision has been compacted";

/** Writes what a watch brings until the store ends it. */
export async function followWatch(session: Session, wanted: WatchWanted): Promise<void> {
  const write = session.writer("watch");
  const { io, signal } = session;
  const client = await session.client();
  const watch = client.watch({
    key: wanted.key,
    prefix: wanted.prefix,
    prevKv: wanted.prevKv,
    progressNotify: wanted.progressNotify,
    ...(wanted.rangeEnd === undefined ? {} : { rangeEnd: Buffer.from(wanted.rangeEnd, "utf8") }),
    ...(wanted.startRevision > 0 ? { startRevision: wanted.startRevision } : {}),
    signal,
  });
  for await (const item of watch) {
    const answer: WatchAnswer = { header: item.header, events: [], compactRevision: 0 };
    switch (item.kind) {
      case "created":
        break;
      case "progress":
        io.out(`progress notify: ${item.revision}\n`);
        write(answer);
        break;
      case "compacted":
        io.err(`watch was canceled (${COMPACTED})\n`);
        write({ ...answer, compactRevision: item.compactRevision });
        break;
      case "events":
        write({ ...answer, events: item.events });
        for (const event of item.events)
          await runForEvent(session, wanted.execArgs, event, item.header.revision);
        break;
      default:
        item satisfies never;
    }
  }
}

/** Runs the command that the user gave after `--`, with the event in `ETCD_WATCH_*`. Throws when it fails. */
async function runForEvent(
  session: Session,
  [command, ...args]: readonly string[],
  event: WatchEvent,
  revision: number,
): Promise<void> {
  if (command === undefined) return;
  const type = event.type === "delete" ? "DELETE" : "PUT";
  const env = {
    ...session.io.env,
    ETCD_WATCH_REVISION: String(revision),
    ETCD_WATCH_EVENT_TYPE: JSON.stringify(type),
    ETCD_WATCH_KEY: goQuote(event.kv.key),
    ETCD_WATCH_VALUE: goQuote(event.kv.value),
  };
  const child = spawn(command, args, { env, stdio: ["inherit", "pipe", "pipe"], signal: session.signal });
  child.stdout.on("data", (chunk: Buffer) => session.io.out(chunk));
  child.stderr.on("data", (chunk: Buffer) => session.io.err(chunk.toString()));
  const problem = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, killedBy) =>
      resolve(code === 0 ? undefined : `exit status ${code ?? killedBy}`),
    );
  });
  session.signal.throwIfAborted();
  if (problem !== undefined)
    throw new CommandFailed(`command [${[command, ...args].join(" ")}] error (${problem})`);
}
