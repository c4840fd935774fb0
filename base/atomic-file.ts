import { dirname } from "node:path";
import type { Disk } from "./disk.ts";

/**
 * Replaces a file so that a crash leaves the old content or the new, never a mixture: temporary file beside it, sync,
 * rename, sync of the folder. Durable when the promise resolves; when it rejects, the temporary file is removed if the disk allows
 * it. Content in parts is written one part after another.
 */
export async function writeFileAtomically(
  disk: Disk,
  path: string,
  content: Uint8Array | readonly Uint8Array[],
): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    await writeWhole(disk, temporary, content instanceof Uint8Array ? [content] : content);
    await disk.rename(temporary, path);
  } catch (error) {
    // Why it could not be written is what counts; what is left over is replaced by the next write.
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
  await disk.syncFolder(dirname(path));
}

async function writeWhole(disk: Disk, path: string, content: readonly Uint8Array[]): Promise<void> {
  const file = await disk.open(path, { create: true });
  try {
    await file.truncate(0);
    await file.write(content, 0);
    await file.sync();
  } finally {
    await file.close();
  }
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
