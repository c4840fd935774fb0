import type { Random } from "../../base/random.ts";

const SECTOR_BYTES = 512;

type FileChange =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly length: number };

/** A file's bytes: as a running process sees them, and as they are on the platter. */
export class MemoryFile {
  #live = new Content();
  #durable = new Content();
  #changes: FileChange[] = [];

  get live(): Buffer {
    return this.#live.bytes;
  }

  /** Number of changes that a sync which begins now covers. */
  get unsynced(): number {
    return this.#changes.length;
  }

  change(change: FileChange): void {
    this.#changes.push(change);
    this.#live.apply(change);
  }

  sync(changes: number): void {
    for (const change of this.#changes.splice(0, changes)) this.#durable.apply(change);
  }

  reset(bytes: Buffer): void {
    this.#changes = [];
    this.#live = new Content(bytes);
    this.#durable = new Content(bytes);
  }

  crash(random: Random): void {
    for (const change of this.#changes) {
      for (const kept of survivors(change, random)) this.#durable.apply(kept);
    }
    // What is equal needs no copy: most files have not changed.
    if (this.#changes.length > 0) this.#live = new Content(this.#durable.bytes);
    this.#changes = [];
  }
}

/** What a power cut leaves of a change: all, nothing, or of a write some of its sectors. */
function survivors(change: FileChange, random: Random): readonly FileChange[] {
  const fate = random.next();
  if (fate < 1 / 3) return [change];
  if (fate < 2 / 3 || change.kind === "truncate") return [];
  const kept: FileChange[] = [];
  const end = change.position + change.bytes.length;
  for (let at = change.position; at < end; ) {
    const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (random.next() < 0.5) {
      const bytes = change.bytes.subarray(at - change.position, next - change.position);
      kept.push({ kind: "write", position: at, bytes });
    }
    at = next;
  }
  return kept;
}

/** Bytes that grow, with room ahead so that appending is not quadratic. */
class Content {
  #room: Buffer;
  #length: number;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#room = Buffer.from(bytes);
    this.#length = bytes.length;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  apply(change: FileChange): void {
    if (change.kind === "truncate") {
      this.#setLength(change.length);
      return;
    }
    const end = change.position + change.bytes.length;
    if (end > this.#length) this.#setLength(end);
    change.bytes.copy(this.#room, change.position);
  }

  #setLength(length: number): void {
    if (length > this.#room.length) {
      const room = Buffer.alloc(Math.max(length, 2 * this.#room.length));
      this.#room.copy(room, 0, 0, this.#length);
      this.#room = room;
    }
    this.#room.fill(0, Math.min(length, this.#length), Math.max(length, this.#length));
    this.#length = length;
  }
}
