import { z } from "zod";
import type { Disk } from "../../base/disk.ts";
import { type VersionedFile, versionedFile } from "../../base/versioned-file.ts";

const contentSchema = z.object({
  /** The store's key that it was read from: another identity must not run it. */
  key: z.string(),
  revision: z.int().min(0),
  /** The value as the store gave it, JSON text. */
  value: z.string(),
});

/** The last collect config that was applied. */
export type LastGood = Readonly<z.output<typeof contentSchema>>;

/** The file that lets an agent start while the store is down. */
export function lastGoodFile(disk: Disk, path: string): VersionedFile<LastGood> {
  return versionedFile({ disk, path, version: 1, parse: (value) => contentSchema.parse(value) });
}
