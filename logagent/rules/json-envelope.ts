import { asBuffer } from "../../base/as-buffer.ts";
import type { ByteArena } from "./byte-arena.ts";

/** Where records come from. */
export interface RecordOrigin {
  readonly ip: string;
  readonly path: string;
  /** When they were read, ISO 8601 in UTC. */
  readonly readAt: string;
}

/**
 * Writes records as JSON objects: `{"time": …, "ip": …, "path": …, "offset": …, "line": …, <static fields>}`. `time` is when the line was
 * read, in UTC; what is no UTF-8 in it becomes U+FFFD.
 */
export class JsonEnvelope {
  readonly #head: string;
  readonly #tail: string;

  constructor(origin: RecordOrigin, fields: Readonly<Record<string, string>>) {
    const { ip, path, readAt: time } = origin;
    this.#head = `${JSON.stringify({ time, ip, path }).slice(0, -1)},"offset":`;
    const fixed = JSON.stringify(fields).slice(1);
    this.#tail = fixed === "}" ? fixed : `,${fixed}`;
  }

  write(arena: ByteArena, record: Uint8Array, offset: number): void {
    const line = asBuffer(record).toString();
    arena.writeText(`${this.#head}${offset},"line":${JSON.stringify(line)}${this.#tail}`);
  }
}
