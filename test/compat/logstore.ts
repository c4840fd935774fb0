import path from "node:path";
import { freePort, type RunningProcess, spawnBin } from "../support/process.ts";

export interface LogstoreOptions {
  /** Holds the data folder and the log; kept. */
  readonly folder: string;
  /** The port to listen on; a free one if not given. */
  readonly port?: number;
  /** More flags, after those that a test needs to reach it. */
  readonly args?: readonly string[];
}

/** A `logstore` process, started from source as `npx logstore` starts it. */
export interface Logstore extends AsyncDisposable {
  readonly endpoint: string;
  readonly process: RunningProcess;
}

/** Starts it and waits until it says that it serves. */
export async function startLogstore({ folder, port, args = [] }: LogstoreOptions): Promise<Logstore> {
  const endpoint = `http://127.0.0.1:${port ?? (await freePort())}`;
  const process = await spawnBin(
    "logstore",
    [
      "--name=one",
      `--data-dir=${path.join(folder, "data")}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      "--listen-peer-urls=http://127.0.0.1:0",
      ...args,
    ],
    { readyLine: "ready to serve client requests", logFile: path.join(folder, "logstore.log") },
  );
  return { endpoint, process, [Symbol.asyncDispose]: async () => void (await process.stop()) };
}
