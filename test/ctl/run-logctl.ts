import type { Io } from "../../ctl/io.ts";
import { run } from "../../ctl/main.ts";

export interface LogctlResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface LogctlOptions {
  readonly endpoint?: string;
  readonly stdin?: string | Uint8Array;
  readonly isTerminal?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  /** Told of each piece of stdout as it is written. */
  readonly onOut?: (soFar: string) => void;
}

/** Runs logctl in this process, with input and output of the test's. */
export async function logctl(args: readonly string[], options: LogctlOptions = {}): Promise<LogctlResult> {
  const out: Buffer[] = [];
  const err: string[] = [];
  const { endpoint, stdin = "" } = options;
  const io: Io = {
    out: (chunk) => {
      out.push(Buffer.from(chunk));
      options.onOut?.(Buffer.concat(out).toString());
    },
    err: (text) => void err.push(text),
    input: input(stdin),
    isTerminal: options.isTerminal ?? false,
    env: { ...(endpoint === undefined ? {} : { ETCDCTL_ENDPOINTS: endpoint }), ...options.env },
    signal: options.signal ?? AbortSignal.timeout(60_000),
  };
  const code = await run(args, io);
  return { code, stdout: Buffer.concat(out), stderr: err.join("") };
}

async function* input(stdin: string | Uint8Array): AsyncGenerator<Uint8Array> {
  if (stdin.length > 0) yield Buffer.from(stdin);
}
