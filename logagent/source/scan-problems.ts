import type { Problems } from "./problems.ts";

/** Paths that match and that an entry before this one ships. */
export interface Overlap {
  /** The first of them. */
  readonly path: string;
  readonly owner: string;
  readonly count: number;
}

/** `sentences`: all that keeps a scan from finding more, about folders, limits and mounts. */
export function reportWalk(sentences: readonly string[], problems: Problems): void {
  const about = new Set(sentences.map((sentence) => `folder: ${sentence}`));
  for (const sentence of sentences) problems.set(`folder: ${sentence}`, sentence);
  problems.clearOthers("folder: ", about);
}

/** Undefined: there is none (any more). */
export function reportOverlap(overlap: Overlap | undefined, problems: Problems): void {
  if (overlap === undefined) {
    problems.clear("overlap");
    return;
  }
  const { path, owner, count } = overlap;
  const files = count === 1 ? path : `${path} and ${count - 1} more`;
  problems.set("overlap", `Cannot ship ${files}: the entry ${owner} comes first and ships it`);
}
