import { closeSync, fstatSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { Journal, LogJournal, WrittenContent } from "./journal.ts";
import { lineOf } from "./line-stream.ts";

/**
 * A program that logs, as many do: it holds its files open, appends blocks that end anywhere in a line, and opens them anew at
 * SIGHUP. At SIGTERM it ends its last lines, and leaves a journal of what it wrote where.
 *
 *     node writer.ts --folder F --journal F --reopened F --log NAME=BYTES_A_SECOND …
 */
const TICK_MS = 10;
/** After a pause it does not catch up in one leap. */
const BLOCK_BYTES_MAX = 512 * 1024;

const { values } = parseArgs({
  options: {
    folder: { type: "string", default: "." },
    journal: { type: "string", default: "journal.json" },
    /** Made when the files are open anew. */
    reopened: { type: "string", default: "reopened" },
    log: { type: "string", multiple: true, default: [] },
  },
});

class LogFile {
  readonly #name: string;
  readonly #bytesPerMs: number;
  #fd: number;
  #content: { ino: string; birthtimeNs: string; from: number; size: number };
  readonly #done: WrittenContent[] = [];
  #lines = 0;
  /** Of a line, or of several, not yet written. */
  #rest = "";
  #owed = 0;

  constructor(name: string, bytesPerSecond: number) {
    this.#name = name;
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#fd = this.#open();
    this.#content = this.#begin(0);
  }

  reopen(): void {
    closeSync(this.#fd);
    this.#end();
    this.#fd = this.#open();
    this.#content = this.#begin(this.#written);
  }

  write(elapsedMs: number): void {
    this.#owed = Math.min(this.#owed + elapsedMs * this.#bytesPerMs, BLOCK_BYTES_MAX);
    const bytes = Math.floor(this.#owed);
    if (bytes === 0) return;
    const parts = [this.#rest];
    for (let ready = this.#rest.length; ready < bytes; ) {
      const line = lineOf(this.#name, this.#lines);
      this.#lines += 1;
      parts.push(line);
      ready += line.length;
    }
    const text = parts.join("");
    this.#append(text.slice(0, bytes));
    this.#rest = text.slice(bytes);
    this.#owed -= bytes;
  }

  close(): LogJournal {
    if (this.#rest.length > 0) this.#append(this.#rest);
    this.#end();
    closeSync(this.#fd);
    return { name: this.#name, contents: this.#done };
  }

  get #written(): number {
    return this.#content.from + this.#content.size;
  }

  #open(): number {
    return openSync(path.join(values.folder, `${this.#name}.log`), "a", 0o644);
  }

  #begin(from: number): { ino: string; birthtimeNs: string; from: number; size: number } {
    const { ino, birthtimeNs } = fstatSync(this.#fd, { bigint: true });
    return { ino: `${ino}`, birthtimeNs: `${birthtimeNs}`, from, size: 0 };
  }

  #end(): void {
    const { ino, birthtimeNs, from, size } = this.#content;
    this.#done.push({ ino, birthtimeNs, from, to: from + size });
  }

  /** Nobody else appends: the size after a write tells whether the file was truncated, and before or after it. */
  #append(text: string): void {
    const bytes = writeSync(this.#fd, text);
    if (bytes !== text.length) throw new Error(`Wrote ${bytes} of ${text.length} bytes to ${this.#name}.log`);
    const { size } = fstatSync(this.#fd);
    const expected = this.#content.size + bytes;
    if (size === bytes && size !== expected) {
      this.#end();
      this.#content = this.#begin(this.#written);
    } else if (size !== expected && size !== 0) {
      throw new Error(
        `${this.#name}.log has ${size} bytes, not ${expected}, ${bytes} or 0: who else writes?`,
      );
    }
    this.#content.size += bytes;
    if (size !== 0) return;
    this.#end();
    this.#content = this.#begin(this.#written);
  }
}

const files = values.log.map((spec) => {
  const [name = "", rate] = spec.split("=");
  return new LogFile(name, Number(rate));
});
let lastMs = performance.now();
const timer = setInterval(() => {
  const nowMs = performance.now();
  for (const file of files) file.write(nowMs - lastMs);
  lastMs = nowMs;
}, TICK_MS);

process.on("SIGHUP", () => {
  for (const file of files) file.reopen();
  writeFileSync(values.reopened, "");
});
process.once("SIGTERM", () => {
  clearInterval(timer);
  const journal: Journal = { logs: files.map((file) => file.close()) };
  writeFileSync(`${values.journal}.new`, JSON.stringify(journal));
  renameSync(`${values.journal}.new`, values.journal);
  process.exit(0);
});
console.log("writing");
