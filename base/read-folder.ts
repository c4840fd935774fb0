import { type Dirent, opendirSync, readdirSync, statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Reading a million names takes a second: the event loop gets its turn after so many. */
const NAMES_PER_TURN = 2_000;
/** A folder of this size has a thousand names or so, whatever the file system: reading it at once costs a third. */
const SMALL_FOLDER_BYTES = 16 * 1024;

/**
 * What is in a folder, in the kernel's order, as much of it at a time as one turn of the event loop may read: a small folder is
 * seen at one moment. Throws what `stat`, `opendir` and `readdir` throw; what was read before that has been given.
 */
export async function* readFolder(folder: string): AsyncGenerator<readonly Dirent[]> {
  if (statSync(folder).size <= SMALL_FOLDER_BYTES) {
    yield readdirSync(folder, { withFileTypes: true });
    return;
  }
  const dir = opendirSync(folder, { bufferSize: NAMES_PER_TURN });
  try {
    for (;;) {
      const entries = readUpTo(NAMES_PER_TURN, () => dir.readSync());
      yield entries;
      if (entries.length < NAMES_PER_TURN) return;
      await nextTurn();
    }
  } finally {
    dir.closeSync();
  }
}

function readUpTo(count: number, read: () => Dirent | null): readonly Dirent[] {
  const entries: Dirent[] = [];
  while (entries.length < count) {
    const entry = read();
    if (entry === null) break;
    entries.push(entry);
  }
  return entries;
}
