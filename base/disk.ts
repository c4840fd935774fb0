/**
 * The disk as a port. The write-ahead log and everything else that promises durability goes through it, so that a test
 * can drop what was not synced, tear a write, fill up or fail, from a seed.
 */
export interface Disk {
  /** Opens a file for reading and writing; `create` makes it when absent. Throws ENOENT, EACCES, … as Node does. */
  open(path: string, options: { readonly create: boolean }): Promise<DiskFile>;
  /** Names in a folder, sorted; throws ENOENT when there is none. */
  list(folder: string): Promise<readonly string[]>;
  /** Makes a folder and its parents, private to this user (0700); does nothing when it exists. */
  makeFolder(folder: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** fsync of a folder: after it, creations, renames and removals inside the folder survive a power cut. */
  syncFolder(folder: string): Promise<void>;
}

/** One open file. Positions and lengths are in bytes. Calls on one file may overlap only where that is said. */
export interface DiskFile {
  /** Current length. */
  size(): Promise<number>;
  /** Fills `target` from `position`; returns the bytes read, fewer than asked for only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all the buffers one after another at `position`; they belong to the disk until the promise settles. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>;
  truncate(length: number): Promise<void>;
  /**
   * fdatasync: after it, data and length survive a power cut. An error here is final: what is on disk is unknown, and
   * the caller must end the process, never try again ("fsyncgate").
   */
  sync(): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** A disk that can tell what others do to the names of its files. */
export interface SharedDisk extends Disk {
  open(path: string, options: { readonly create: boolean }): Promise<SharedFile>;
}

export interface SharedFile extends DiskFile {
  /** Is it still the file that its path leads to? False when it was removed, renamed or replaced: nobody finds what is written. */
  isAtItsPath(): Promise<boolean>;
}
