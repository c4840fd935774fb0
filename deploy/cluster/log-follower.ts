import { closeSync, openSync, readSync, statSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

const POLL_MS = 100;
const CHUNK_BYTES = 65_536;

export interface Source {
  readonly name: string;
  /** Need not be there yet. */
  readonly logFile: string;
}

interface Line {
  readonly name: string;
  readonly text: string;
  readonly time: string;
}

/**
 * Gives each line that is appended to several pino logs from now on. By looking ten times a second: lines of one look are
 * put in order of their time across the logs.
 */
export class LogFollower {
  readonly #logs: readonly FollowedLog[];
  readonly #onLine: (name: string, line: string) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(sources: readonly Source[], onLine: (name: string, line: string) => void) {
    this.#logs = sources.map((source) => new FollowedLog(source));
    this.#onLine = onLine;
    this.#timer = setInterval(() => this.catchUp(), POLL_MS);
  }

  /** Gives every whole line that is there by now. */
  catchUp(): void {
    const lines = this.#logs.flatMap((log) => log.newLines());
    lines.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    for (const { name, text } of lines) this.#onLine(name, text);
  }

  /** {@link catchUp}, for the last time. */
  end(): void {
    clearInterval(this.#timer);
    this.catchUp();
  }
}

class FollowedLog {
  readonly #source: Source;
  readonly #decoder = new StringDecoder("utf8");
  readonly #buffer = Buffer.alloc(CHUNK_BYTES);
  #offset: number;
  #rest = "";
  #time = "";

  constructor(source: Source) {
    this.#source = source;
    this.#offset = sizeOf(source.logFile);
  }

  newLines(): Line[] {
    const { name, logFile } = this.#source;
    if (sizeOf(logFile) <= this.#offset) return [];
    const found: Line[] = [];
    const file = openSync(logFile, "r");
    try {
      for (;;) {
        const bytes = readSync(file, this.#buffer, 0, CHUNK_BYTES, this.#offset);
        if (bytes === 0) return found;
        this.#offset += bytes;
        const texts = (this.#rest + this.#decoder.write(this.#buffer.subarray(0, bytes))).split("\n");
        this.#rest = texts.pop() ?? "";
        for (const text of texts) found.push({ name, text, time: this.#timeOf(text) });
      }
    } finally {
      closeSync(file);
    }
  }

  /** A line without one (a crash of Node) stays below the line before it. */
  #timeOf(text: string): string {
    this.#time = /"time":"([^"]+)"/.exec(text)?.[1] ?? this.#time;
    return this.#time;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
