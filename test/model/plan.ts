import { type Random, seededRandom } from "../../base/random.ts";
import type { Entry } from "../../conf/collect-config.ts";
import { CHUNK_POOL_BYTES, SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";

/** What may happen, and how often, beside each other. */
export const WEIGHTS = {
  // What programs do to their logs.
  create: 6,
  append: 14,
  "append part": 3,
  "append much": 0.3,
  "append late": 1,
  // Rotation.
  rotate: 2,
  "rotate chain": 0.8,
  copytruncate: 0.8,
  truncate: 0.6,
  shorten: 0.5,
  "rewrite larger": 0.5,
  "rewrite as large": 0.4,
  "rewrite shorter": 0.4,
  "rewrite same head": 0.6,
  delete: 0.7,
  "delete and create": 0.7,
  link: 0.5,
  unlink: 0.5,
  "move away": 0.5,
  "move back": 0.5,
  "switch link": 0.7,
  compress: 1,
  // The agent.
  step: 20,
  "step amid": 3,
  crash: 0.5,
  "crash while writing": 0.5,
  stop: 0.5,
  start: 6,
  "remove entry": 0.3,
  "change topic": 0.3,
  "jump clock": 0.3,
  "fill disk": 0.3,
  "free disk": 2,
  // The destination.
  "ack one": 4,
  "ack all": 4,
  reject: 0.2,
  "close topic": 0.5,
  "open topic": 4,
} as const satisfies Record<string, number>;

/** What a disk may do, in a part of the sequences. */
const READ_WEIGHTS = { "fail reads": 1, "heal reads": 1 } as const satisfies Record<string, number>;

export type OpKind = keyof typeof WEIGHTS | keyof typeof READ_WEIGHTS;

/** One thing that happens. The numbers, each in [0, 1), decide what it happens to: an operation has no other chance. */
export interface Op {
  readonly kind: OpKind;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** A sequence as data: what a seed stands for, and what a failure shrinks to. */
export interface Plan {
  readonly seed: number;
  /** Of the one entry. */
  readonly glob: string;
  readonly lanes: readonly string[];
  /** Of the times of files, in ms: 0 for ones that are always new, 4 or 10 for a kernel that looks at its clock that often. */
  readonly tickMs: number;
  /** Does the file system keep when a file was born? */
  readonly hasBirthTimes: boolean;
  /** Where the entry begins in files that are there before it. */
  readonly from: Entry["from"];
  /** Room for what all files are read into. */
  readonly chunkPoolBytes: number;
  /** The agent's limit of files that it holds open. */
  readonly openFilesMax: number;
  readonly ops: readonly Op[];
}

/** With the names at which programs write. */
const GLOBS = [
  { glob: "*.log", lanes: ["a.log", "b.log"] },
  { glob: "*.log*", lanes: ["a.log", "b.log"] },
  { glob: "a.log", lanes: ["a.log"] },
  { glob: "**/*.log", lanes: ["a.log", "sub/c.log"] },
  // A symbolic link.
  { glob: "current", lanes: [] },
];
const SEED_OF_LIMIT = 1_000_000_007;
/** Files that an agent may hold, and never comes to. */
export const ENOUGH = 1_000;
const TICKS_MS = [0, 0, 4, 10];
/** Half of the sequences never come to it. */
const OPEN_FILES_MAX = [1, 2, 3, ENOUGH, ENOUGH, ENOUGH];
const OPS_MIN = 10;
const OPS_MAX = 100;
/** By chance of its own, woven between the others: without it a seed stands for what it always has. */
const READS = { seed: 2_000_000_011, weights: READ_WEIGHTS, share: 0.25, ofOps: 0.12 };

export function planOf(seed: number): Plan {
  const random = seededRandom(seed);
  const { glob, lanes } = pick(GLOBS, random.next());
  const tickMs = pick(TICKS_MS, random.next());
  const hasBirthTimes = random.next() < 0.8;
  const ops: Op[] = [];
  for (let left = OPS_MIN + Math.floor(random.next() * (OPS_MAX - OPS_MIN)); left > 0; left -= 1) {
    ops.push(opOf(random, WEIGHTS));
  }
  const from = random.next() < 0.1 ? "end" : "beginning";
  const chunkPoolBytes = random.next() < 0.3 ? SMALL_CHUNK_BYTES : CHUNK_POOL_BYTES;
  // By chance of its own: without it a seed stands for what it always has.
  const openFilesMax = pick(OPEN_FILES_MAX, seededRandom(seed + SEED_OF_LIMIT).next());
  return {
    seed,
    glob,
    lanes,
    tickMs,
    hasBirthTimes,
    from,
    chunkPoolBytes,
    openFilesMax,
    ops: woven(ops, seed, READS),
  };
}

/** The item that a number in [0, 1) stands for. */
export function pick<T>(items: readonly T[], at: number): T {
  return items[Math.floor(at * items.length)] as T;
}

type Weights = Partial<Record<OpKind, number>>;

/** With others between them. */
function woven(ops: readonly Op[], seed: number, other: typeof READS): readonly Op[] {
  const random = seededRandom(seed + other.seed);
  if (random.next() >= other.share) return ops;
  return ops.flatMap((op) => (random.next() < other.ofOps ? [opOf(random, other.weights), op] : [op]));
}

function opOf(random: Random, weights: Weights): Op {
  return { kind: weighted(random, weights), a: random.next(), b: random.next(), c: random.next() };
}

function weighted(random: Random, weights: Weights): OpKind {
  const kinds = Object.entries(weights) as [OpKind, number][];
  let at = random.next() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of kinds) {
    at -= weight;
    if (at < 0) return kind;
  }
  return "step";
}
