import assert from "node:assert/strict";
import { pino } from "pino";
import { systemClock } from "../../../base/clock.ts";
import { systemRandom } from "../../../base/random.ts";
import type { LineSpans } from "../../../logagent/framing/types.ts";
import type { SinkDeps } from "../../../logagent/sink/options.ts";
import type { Delivery, ShippedFile } from "../../../logagent/sink/port.ts";

interface Settled {
  readonly from: number;
  readonly to: number;
  readonly lines: number;
  /** Why, where it was refused. */
  readonly reason?: string;
}

/** A file that remembers what was settled, and fails the test when a byte is settled twice. */
export class RecordedFile implements ShippedFile {
  readonly id: string;
  readonly ip: string;
  readonly path: string;
  readonly settled: Settled[] = [];
  /** Bytes that were made into deliveries. */
  length = 0;

  constructor(name: string, ip = "10.1.2.3") {
    this.id = `id-${name}`;
    this.ip = ip;
    this.path = `/var/log/${name}.log`;
  }

  get settledBytes(): number {
    return this.settled.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  get settledLines(): number {
    return this.settled.reduce((sum, { lines }) => sum + lines, 0);
  }

  get rejections(): readonly Settled[] {
    return this.settled.filter(({ reason }) => reason !== undefined);
  }

  acked(from: number, to: number, lines: number): void {
    this.#settle({ from, to, lines });
  }

  rejected(from: number, to: number, lines: number, reason: string): void {
    this.#settle({ from, to, lines, reason });
  }

  /** A delivery of the next lines of the file. */
  next(
    topic: string,
    lines: readonly (string | Buffer)[],
    options: { readonly headers?: boolean } = {},
  ): Delivery {
    const spans = spansOf(lines, this.length);
    this.length = spans.to;
    return { topic, file: this, spans, readAtMs: Date.now(), headers: options.headers ?? true };
  }

  /** Every byte was settled, and none is left out. */
  assertComplete(): void {
    const ranges = this.settled.toSorted((a, b) => a.from - b.from);
    let end = 0;
    for (const { from, to } of ranges) {
      assert.equal(from, end, `file ${this.id}: ranges are contiguous`);
      end = to;
    }
    assert.equal(end, this.length, `file ${this.id}: settled up to its end`);
  }

  #settle(settled: Settled): void {
    const { from, to } = settled;
    assert.ok(from < to, `file ${this.id}: range ${from}..${to} is not empty`);
    for (const other of this.settled) {
      assert.ok(
        to <= other.from || from >= other.to,
        `file ${this.id}: ${from}..${to} is settled once, was ${other.from}..${other.to} before`,
      );
    }
    this.settled.push(settled);
  }
}

/** The lines as they would stand in a file from `base` on, each with its newline, and where they are. */
export function spansOf(lines: readonly (string | Buffer)[], base = 0): LineSpans {
  const buffers = lines.map((line) => (typeof line === "string" ? Buffer.from(line) : line));
  const bytes = Buffer.concat(buffers.flatMap((line) => [line, Buffer.from("\n")]));
  const starts = new Uint32Array(lines.length);
  const ends = new Uint32Array(lines.length);
  let at = 0;
  for (const [i, line] of buffers.entries()) {
    starts[i] = at;
    ends[i] = at + line.length;
    at += line.length + 1;
  }
  return { bytes, base, count: lines.length, starts, ends, from: base, to: base + bytes.length };
}

/** Clock and randomness of the machine, and a log that nobody reads. */
export function testDeps(more: Partial<SinkDeps> = {}): SinkDeps {
  return { clock: systemClock, random: systemRandom, logger: pino({ level: "silent" }), ...more };
}
