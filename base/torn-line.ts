import type { DiskFile } from "./disk.ts";

const REPAIR_BLOCK_BYTES = 64 * 1024;
const NEWLINE = 10;

/** Cuts what stands behind `syncedBytes`, or if that is not known behind the last newline; returns the length that is left. */
export async function cutTornLine(file: DiskFile, syncedBytes = Number.POSITIVE_INFINITY): Promise<number> {
  const total = await file.size();
  const size = Math.min(total, syncedBytes);
  const block = Buffer.allocUnsafe(REPAIR_BLOCK_BYTES);
  let length = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - block.length);
    const read = await file.read(block.subarray(0, end - start), start);
    const newline = block.subarray(0, read).lastIndexOf(NEWLINE);
    if (newline !== -1) {
      length = start + newline + 1;
      break;
    }
    end = start;
  }
  if (length < total) {
    await file.truncate(length);
    await file.sync();
  }
  return length;
}
