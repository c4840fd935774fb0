import type { Disk } from "../../base/disk.ts";
import { CodedError } from "../../base/errors.ts";

/** A disk that takes every write and keeps none: checkpoints of a run that must leave no trace. */
export const forgetfulDisk: Disk = {
  open: async (path, { create }) => {
    if (!create) throw noEntry(path);
    return {
      size: async () => 0,
      read: async () => 0,
      write: async () => undefined,
      truncate: async () => undefined,
      sync: async () => undefined,
      close: async () => undefined,
    };
  },
  list: async () => [],
  makeFolder: async () => undefined,
  rename: async () => undefined,
  remove: async () => undefined,
  syncFolder: async () => undefined,
};

function noEntry(path: string): CodedError {
  return new CodedError("ENOENT", `Cannot open ${path}: nothing is kept here`);
}
