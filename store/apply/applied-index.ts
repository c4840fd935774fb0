import { asBuffer } from "../../base/as-buffer.ts";
import type { Backend } from "../backend/port.ts";
import { readUint64, writeUint64 } from "../backend/uint64.ts";
import type { EntryId } from "../raft/types.ts";

const INDEX_KEY = Buffer.from("consistent_index");
const TERM_KEY = Buffer.from("term");

/** Which Raft entry the backend's data goes up to. Recorded with every entry, so that any commit holds both or neither. */
export class AppliedIndex {
  readonly #backend: Backend;
  #index: number;
  #term: number;

  constructor(backend: Backend) {
    this.#backend = backend;
    const { index, term } = AppliedIndex.read(backend);
    this.#index = index;
    this.#term = term;
  }

  static read(content: Pick<Backend, "get">): EntryId {
    return {
      index: decodeUint64(content.get("meta", INDEX_KEY)),
      term: decodeUint64(content.get("meta", TERM_KEY)),
    };
  }

  get index(): number {
    return this.#index;
  }

  get term(): number {
    return this.#term;
  }

  advance(index: number, term: number): void {
    this.#backend.put("meta", INDEX_KEY, encodeUint64(index));
    if (term !== this.#term) this.#backend.put("meta", TERM_KEY, encodeUint64(term));
    this.#index = index;
    this.#term = term;
  }
}

function encodeUint64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeUint64(bytes, 0, value);
  return bytes;
}

function decodeUint64(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : readUint64(asBuffer(bytes), 0);
}
