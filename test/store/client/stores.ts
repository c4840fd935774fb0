import { startLogstore } from "../../compat/logstore.ts";
import { startEtcd } from "../../support/etcd.ts";
import { temporaryFolder } from "../../support/process.ts";

/** A store that a test can kill and start again, with its data, at the same address. */
export interface RunningStore extends AsyncDisposable {
  readonly endpoint: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** The stores that the client must work the same against. */
export const STORES: readonly {
  readonly name: string;
  readonly start: (args?: readonly string[]) => Promise<RunningStore>;
}[] = [
  { name: "etcd", start: (args = []) => startEtcd({ args }) },
  { name: "logstore", start: startOurs },
];

async function startOurs(args: readonly string[] = []): Promise<RunningStore> {
  const folder = temporaryFolder("logstore");
  let running = await startLogstore({ folder, args });
  const { endpoint } = running;
  return {
    endpoint,
    kill: async () => {
      await running.process.kill();
    },
    restart: async () => {
      await running.process.stop();
      running = await startLogstore({ folder, args, port: Number(new URL(endpoint).port) });
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
