import type { Random } from "../../base/random.ts";
import type { MemoryFile } from "./memory-file.ts";

type FolderChange =
  | { readonly kind: "link"; readonly name: string; readonly file: MemoryFile }
  | { readonly kind: "unlink"; readonly name: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string; readonly file: MemoryFile };

/** A folder's names: as a running process sees them, and as they are on the platter. */
export class MemoryFolder {
  entries = new Map<string, MemoryFile>();
  #durable = new Map<string, MemoryFile>();
  #changes: FolderChange[] = [];

  change(change: FolderChange): void {
    this.#changes.push(change);
    applyToFolder(this.entries, change);
  }

  sync(): void {
    this.#durable = new Map(this.entries);
    this.#changes = [];
  }

  crash(random: Random): void {
    for (const change of this.#changes) {
      if (random.next() < 0.5) applyToFolder(this.#durable, change);
    }
    this.#changes = [];
    this.entries = new Map(this.#durable);
  }
}

function applyToFolder(entries: Map<string, MemoryFile>, change: FolderChange): void {
  switch (change.kind) {
    case "link":
      entries.set(change.name, change.file);
      return;
    case "unlink":
      entries.delete(change.name);
      return;
    case "rename":
      entries.delete(change.from);
      entries.set(change.to, change.file);
      return;
    default:
      change satisfies never;
  }
}
