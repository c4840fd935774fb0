import { z } from "zod";
import { readWholeFile, writeFileAtomically } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { errorCode, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

const FORMAT_VERSION = 1;
const fileSchema = z.object({
  version: z.literal(FORMAT_VERSION),
  lease: z.string().regex(/^[0-9a-f]{1,16}$/),
});

/**
 * The lease of the agent that used this data folder last. After a crash its status key lives on until the lease runs out;
 * by this file the next agent knows the key as its own, and not as another agent's.
 */
export class PreviousLease {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #log: Logger;

  constructor(options: { readonly disk: Disk; readonly path: string; readonly log: Logger }) {
    this.#disk = options.disk;
    this.#path = options.path;
    this.#log = options.log;
  }

  async read(): Promise<bigint | undefined> {
    try {
      const content = (await readWholeFile(this.#disk, this.#path)).toString("utf8");
      return BigInt(`0x${fileSchema.parse(JSON.parse(content)).lease}`);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") {
        this.#log.warn({ file: this.#path, reason: errorMessage(error) }, "previous lease not readable");
      }
      return undefined;
    }
  }

  /** A failure is logged: it costs a wait for the lease's end after a crash, no more. */
  async write(lease: bigint): Promise<void> {
    const content = JSON.stringify({ version: FORMAT_VERSION, lease: lease.toString(16) });
    try {
      await writeFileAtomically(this.#disk, this.#path, Buffer.from(content));
    } catch (error) {
      this.#log.warn({ file: this.#path, reason: errorMessage(error) }, "lease not kept on disk");
    }
  }
}
