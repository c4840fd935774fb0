/** A way to rotate, and what it takes away from under whoever reads. */
export interface Mode {
  /** logrotate's directives, beside those that all have. */
  readonly directives: readonly string[];
  /** Does the writer have to open its files anew? */
  readonly reopens: boolean;
  /** What the entry's pattern ends in, behind the folder. */
  readonly pattern: string;
  /** Between two rotations, where names go by the second. */
  readonly pauseMsMin?: number;
  /** Other fields of the entry. */
  readonly entry?: Readonly<Record<string, unknown>>;
  /**
   * `nothing`: every byte stays in some file for as long as the round takes, compressed or not; `files` are deleted; `contents` are
   * truncated.
   */
  readonly takes: "nothing" | "files" | "contents";
}

const renaming = { reopens: true, pattern: "*.log", takes: "nothing" } as const;
const deleting = { ...renaming, takes: "files" } as const;
const truncating = { reopens: false, pattern: "*.log", takes: "contents" } as const;

export const MODES = {
  create: { ...renaming, directives: ["create", "rotate 30"] },
  "create, dateext": {
    ...renaming,
    directives: ["create", "rotate 30", "dateext", "dateformat -%s"],
    pauseMsMin: 1_000,
  },
  "create, olddir": { ...renaming, directives: ["create", "rotate 30", "olddir old"] },
  "create, pattern matches the old ones": {
    ...renaming,
    directives: ["create", "rotate 30"],
    pattern: "*.log*",
    // One that is first seen under its later name is at its path there, and not known to be finished.
    entry: { partialLineTimeoutMs: 3_000 },
  },
  nocreate: { ...renaming, directives: ["nocreate", "rotate 30"] },
  "create, compress, delaycompress": {
    ...renaming,
    directives: ["create", "rotate 30", "compress", "delaycompress"],
  },
  "create, compress": { ...renaming, directives: ["create", "rotate 30", "compress"] },
  "create, one kept": { ...deleting, directives: ["create", "rotate 1"] },
  copytruncate: { ...truncating, directives: ["copytruncate", "rotate 30"] },
  "copytruncate, compress": { ...truncating, directives: ["copytruncate", "rotate 30", "compress"] },
  "copytruncate, compress, delaycompress": {
    ...truncating,
    directives: ["copytruncate", "rotate 30", "compress", "delaycompress"],
  },
} as const satisfies Readonly<Record<string, Mode>>;

export type ModeName = keyof typeof MODES;
export const MODE_NAMES = Object.keys(MODES) as readonly ModeName[];
