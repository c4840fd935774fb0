import type { FileHandle } from "node:fs/promises";

/**
 * Writes all the buffers one after another at `position`. One `writev` may take a part only, and end inside a buffer:
 * the next goes on there.
 */
export async function writeAll(
  handle: Pick<FileHandle, "writev">,
  buffers: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = buffers.filter((buffer) => buffer.byteLength > 0);
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    rest = without(rest, bytesWritten);
  }
}

/** What is left of the buffers behind their first `bytes`. */
function without(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  let whole = 0;
  for (const buffer of buffers) {
    if (left < buffer.byteLength) break;
    left -= buffer.byteLength;
    whole += 1;
  }
  const rest = buffers.slice(whole);
  const partial = rest[0];
  if (partial !== undefined && left > 0) rest[0] = partial.subarray(left);
  return rest;
}
