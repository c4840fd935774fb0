import type { Disk } from "../../base/disk.ts";
import { CodedError } from "../../base/errors.ts";
import { type DiskOperation, MemoryDisk } from "../support/memory-disk.ts";
import type { Chance } from "./chance.ts";
import type { SimProcess } from "./sim-process.ts";

/** Only these ask the hardware for something; the others end in the system's memory. */
const SLOW: ReadonlySet<DiskOperation> = new Set(["sync", "syncFolder"]);
/** These change nothing: that they are done in the event that asks for them makes no difference to anybody. */
const READING: ReadonlySet<DiskOperation> = new Set(["open", "read"]);

/** A machine's disk: it takes time, now and then much, it fills up, it fails, and it forgets when the power goes. */
export class SimDisk {
  readonly #chance: Chance;
  #memory = new MemoryDisk();
  /** Typical time of a sync. */
  syncMs = 0.3;
  /** Operations that have failed. */
  failures = 0;
  /** Writes find no space. */
  isFull = false;
  /** Operations of this kind fail; the next one, or all of them. */
  #failing: { readonly operation: DiskOperation; readonly once: boolean } | undefined;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** The disk as a process has it: what it asks for is done in its time, and never after its end. */
  mount(process: SimProcess): Disk {
    this.#memory.turn = (operation) => this.#turn(operation, process);
    return this.#memory.forProcess();
  }

  /** The typical time of a commit of the backend, which is on this disk too; rejects as a sync does. */
  async commit(process: SimProcess): Promise<void> {
    await this.#turn("sync", process);
    if (this.isFull) this.#refuse("write");
  }

  fail(operation: DiskOperation, options: { readonly once: boolean }): void {
    this.#failing = { operation, ...options };
  }

  repair(): void {
    this.#failing = undefined;
    this.isFull = false;
    this.syncMs = 0.3;
  }

  /** What was not synced is kept, lost, or torn. */
  powerCut(): void {
    this.#memory.crash({ random: this.#chance });
  }

  /** A new, empty disk in its place. */
  replace(): void {
    this.#memory = new MemoryDisk();
  }

  async #turn(operation: DiskOperation, process: SimProcess): Promise<void> {
    if (!READING.has(operation))
      await process.delay(SLOW.has(operation) ? this.#chance.longTail(this.syncMs) : 0);
    if (this.#failing?.operation === operation) {
      if (this.#failing.once) this.#failing = undefined;
      this.failures += 1;
      throw new CodedError("EIO", `EIO: i/o error, ${operation}`);
    }
    if (this.isFull && operation === "write") this.#refuse(operation);
  }

  #refuse(operation: DiskOperation): never {
    this.failures += 1;
    throw new CodedError("ENOSPC", `ENOSPC: no space left on device, ${operation}`);
  }
}
