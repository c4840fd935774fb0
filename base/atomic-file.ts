import { dirname } from "node:path";
import type { Disk } from "./disk.ts";

/**
 * Replaces a file so that a crash leaves the old content or the new, never a mixture: temporary file beside it, sync,
 * rename, sync of the folder. Durable when the promise resolves. Content in parts is written one part after another.
 */
export async function writeFileAtomically(
  disk: Disk,
  path: string,
  content: Uint8Array | readonly Uint8Array[],
): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await disk.open(temporary, { create: true });
  try {
    await file.truncate(0);
    await file.write(content instanceof Uint8Array ? [content] : content, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncFolder(dirname(path));
}

/** The whole content of a file; throws ENOENT when there is none. */
export async function readWholeFile(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, { create: false });
  try {
    const content = Buffer.alloc(await file.size());
    const bytes = await file.read(content, 0);
    return content.subarray(0, bytes);
  } finally {
    await file.close();
  }
}
