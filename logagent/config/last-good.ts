import { dirname } from "node:path";
import { z } from "zod";
import { readWholeFile, writeFileAtomically } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { CodedError, errorCode, errorMessage } from "../../base/errors.ts";

/** The last collect config that was applied, as the store gave it. */
export interface LastGood {
  /** The store's key that it was read from: another identity must not run it. */
  readonly key: string;
  readonly revision: number;
  /** The value, JSON text. */
  readonly value: string;
}

const FORMAT_VERSION = 1;

const fileSchema = z.object({
  version: z.literal(FORMAT_VERSION),
  key: z.string(),
  revision: z.int().min(0),
  value: z.string(),
});

/** The file that lets an agent start while the store is down. */
export class LastGoodFile {
  readonly #disk: Disk;
  readonly path: string;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.path = path;
  }

  /** Undefined: there is none. Throws CodedError "ELASTGOOD" for a file that cannot be used. */
  async read(): Promise<LastGood | undefined> {
    try {
      const text = (await readWholeFile(this.#disk, this.path)).toString("utf8");
      const { version: _, ...lastGood } = fileSchema.parse(versionChecked(JSON.parse(text)));
      return lastGood;
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      const reason =
        error instanceof z.ZodError ? "its fields are not those of format 1" : errorMessage(error);
      throw new CodedError("ELASTGOOD", `Cannot use last good config ${this.path}: ${reason}`, {
        cause: error,
      });
    }
  }

  /** Durable when it resolves. */
  async write(lastGood: LastGood): Promise<void> {
    await this.#disk.makeFolder(dirname(this.path));
    const content = JSON.stringify({ version: FORMAT_VERSION, ...lastGood });
    await writeFileAtomically(this.#disk, this.path, Buffer.from(content));
  }
}

function versionChecked(content: unknown): unknown {
  const version = typeof content === "object" && content !== null && "version" in content && content.version;
  if (typeof version === "number" && version > FORMAT_VERSION) {
    throw new Error(`format version ${version}, expected ${FORMAT_VERSION} or less`);
  }
  return content;
}
