import { z } from "zod";
import type { Disk } from "../../base/disk.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { type VersionedFile, versionedFile } from "../../base/versioned-file.ts";

const contentSchema = z.object({ lease: z.string().regex(/^[0-9a-f]{1,16}$/) });

/**
 * The lease of the agent that used this data folder last. After a crash its status key lives on until the lease runs out;
 * by this file the next agent knows the key as its own, and not as another agent's. Trouble with the file is logged: it
 * costs a wait for the lease's end, no more.
 */
export class PreviousLease {
  readonly #file: VersionedFile<{ readonly lease: string }>;
  readonly #log: Logger;

  constructor(options: { readonly disk: Disk; readonly path: string; readonly log: Logger }) {
    const { disk, path, log } = options;
    this.#file = versionedFile({ disk, path, version: 1, parse: (value) => contentSchema.parse(value) });
    this.#log = log;
  }

  async read(): Promise<bigint | undefined> {
    try {
      const found = await this.#file.read();
      return found === undefined ? undefined : BigInt(`0x${found.lease}`);
    } catch (error) {
      this.#log.warn({ reason: errorMessage(error) }, "previous lease not readable");
      return undefined;
    }
  }

  async write(lease: bigint): Promise<void> {
    try {
      await this.#file.write({ lease: lease.toString(16) });
    } catch (error) {
      this.#log.warn({ file: this.#file.path, reason: errorMessage(error) }, "lease not kept on disk");
    }
  }
}
