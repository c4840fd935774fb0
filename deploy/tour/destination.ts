import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Tail } from "tail";
import { Tally } from "./account.ts";

/** Where the tour's lines end up, as the tour sees it: a config for the agent, and something to look at. */
export interface Destination extends AsyncDisposable {
  readonly title: string;
  /** The `sink:` section of the agent's config. */
  readonly sink: Readonly<Record<string, unknown>>;
  /** Shows lines of `topic` to a person as they arrive; it may miss some, the account does not use it. */
  watch(topic: string, onLine: (line: string) => void): void;
  /** Everything that has arrived so far. */
  tally(topics: readonly string[]): Promise<Tally>;
}

const FILE_APPEARS_POLL_MS = 50;

/** The file sink: a file by topic, in `folder`. */
export function fileDestination(folder: string): Destination {
  const closing = new AbortController();
  const tails: Tail[] = [];
  const watch = async (path: string, onLine: (line: string) => void) => {
    while (!existsSync(path)) {
      if (closing.signal.aborted) return;
      await sleep(FILE_APPEARS_POLL_MS);
    }
    const tail = new Tail(path, { fromBeginning: true });
    tails.push(tail);
    tail.on("line", (line: string) => onLine(line));
    tail.on("error", (error: unknown) => onLine(`(tail: ${error})`));
  };
  return {
    title: `files in ${folder}`,
    sink: { type: "file", path: folder },
    watch: (topic, onLine) => void watch(join(folder, `${topic}.log`), onLine),
    tally: async (topics) => {
      const tally = new Tally();
      for (const path of topics
        .map((topic) => join(folder, `${topic}.log`))
        .filter((path) => existsSync(path))) {
        for await (const line of createInterface({ input: createReadStream(path) })) tally.add(line);
      }
      return tally;
    },
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      for (const tail of tails) tail.unwatch();
    },
  };
}
