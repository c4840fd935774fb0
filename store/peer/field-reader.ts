import { isUtf8 } from "node:buffer";
import { readSafeUint64 } from "../wal/format.ts";
import { PeerError } from "./peer-error.ts";

/** Reads what a FieldWriter wrote. Throws PeerError EPEERMESSAGE where the bytes are something else; `what` names them. */
export class FieldReader {
  readonly #what: string;
  readonly #source: Buffer;
  #at = 0;

  constructor(source: Buffer, what: string) {
    this.#source = source;
    this.#what = what;
  }

  /** Bytes that are left. */
  get remaining(): number {
    return this.#source.length - this.#at;
  }

  uint8(): number {
    return this.#source.readUInt8(this.#advance(1));
  }

  bool(): boolean {
    const value = this.uint8();
    if (value > 1) throw this.malformed(`expected 0 or 1 at byte ${this.#at - 1}, not ${value}`);
    return value === 1;
  }

  uint16(): number {
    return this.#source.readUInt16LE(this.#advance(2));
  }

  uint32(): number {
    return this.#source.readUInt32LE(this.#advance(4));
  }

  safeUint64(): number {
    const at = this.#advance(8);
    const value = readSafeUint64(this.#source, at);
    if (!Number.isSafeInteger(value)) {
      throw this.malformed(
        `expected at most ${Number.MAX_SAFE_INTEGER} at byte ${at}, not ${this.#source.readBigUInt64LE(at)}`,
      );
    }
    return value;
  }

  uint64(): bigint {
    return this.#source.readBigUInt64LE(this.#advance(8));
  }

  /** A part of the source itself. */
  bytes(length: number): Buffer {
    const at = this.#advance(length);
    return this.#source.subarray(at, at + length);
  }

  string(): string {
    const bytes = this.bytes(this.uint16());
    if (!isUtf8(bytes)) throw this.malformed(`text that ends at byte ${this.#at} is not UTF-8`);
    return bytes.toString("utf8");
  }

  /** A count, that what follows can hold: `eachBytes` is the least that one takes. */
  count(limits: { readonly max: number; readonly eachBytes: number }): number {
    const count = this.uint32();
    const max = Math.min(limits.max, Math.floor(this.remaining / limits.eachBytes));
    if (count > max) throw this.malformed(`expected a count of at most ${max}, not ${count}`);
    return count;
  }

  /** To be called behind the last field. */
  end(): void {
    if (this.remaining > 0) throw this.malformed(`${this.remaining} bytes are left over at byte ${this.#at}`);
  }

  malformed(reason: string): PeerError {
    return new PeerError("EPEERMESSAGE", `Cannot decode ${this.#what}: ${reason}`);
  }

  #advance(bytes: number): number {
    const at = this.#at;
    if (bytes > this.remaining) {
      throw this.malformed(`expected ${bytes} bytes at byte ${at}, ${this.remaining} are left`);
    }
    this.#at += bytes;
    return at;
  }
}
