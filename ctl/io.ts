import { errorCode } from "../base/errors.ts";

/** Where a command reads from and writes to, so that it can run inside another program. */
export interface Io {
  /** Keys and values are bytes, and stay as they are. */
  readonly out: (chunk: string | Uint8Array) => void;
  readonly err: (text: string) => void;
  readonly input: AsyncIterable<Uint8Array>;
  /** A person looks at the output: what is too long for a screen may be cut. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when a person or a supervisor wants the command to end. */
  readonly signal: AbortSignal;
}

/** The process's own. SIGINT and SIGTERM abort the signal; a reader that went away (`| head`) does too. */
export function processIo(): Io & Disposable {
  const ending = new AbortController();
  const end = () => ending.abort(new Error("interrupted"));
  const onOutError = (error: unknown) => {
    if (errorCode(error) !== "EPIPE") throw error;
    end();
  };
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  process.stdout.on("error", onOutError);
  let readsInput = false;
  return {
    out: (chunk) => process.stdout.write(chunk),
    err: (text) => process.stderr.write(text),
    get input() {
      readsInput = true;
      return process.stdin;
    },
    isTerminal: process.stdout.isTTY === true,
    env: process.env,
    signal: ending.signal,
    [Symbol.dispose]: () => {
      process.off("SIGINT", end);
      process.off("SIGTERM", end);
      // The listener of stdout stays: what was written last is still on its way, and may find no reader.
      // Whoever writes to it may hold it open for long; the command is over.
      if (readsInput) process.stdin.destroy();
    },
  };
}

/** Everything that is left to read. */
export async function readAll(input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of input) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Lines without their ends; text after the last "\n" is no line. */
export async function* readLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of input) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield rest.subarray(0, end).toString("utf8");
      rest = rest.subarray(end + 1);
    }
  }
}
