import type { Disk, DiskFile } from "../../base/disk.ts";
import type { Random } from "../../base/random.ts";
import { encodeSegmentHeader, type SegmentHeader } from "./segment-header.ts";

/** A file that is to be the segment `path` of the log in `folder`, and is called `from` until then. */
export interface SegmentPlace {
  readonly file: DiskFile;
  readonly from: string;
  readonly path: string;
  readonly folder: string;
}

/**
 * Writes a segment's header and gives the file its name; durable when the promise resolves. The name comes last, so
 * that a header under a segment's name is never torn.
 */
export async function placeSegment(disk: Disk, place: SegmentPlace, header: SegmentHeader): Promise<void> {
  await place.file.write([encodeSegmentHeader(header)], 0);
  await place.file.sync();
  await disk.rename(place.from, place.path);
  await disk.syncFolder(place.folder);
}

/** A seed for the CRCs of a segment's frame headers. */
export function newSalt(random: Random): number {
  return Math.floor(random.next() * 2 ** 32);
}
