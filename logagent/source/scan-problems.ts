import type { Problems } from "./problems.ts";

/** `sentences`: all that keeps a scan from finding more, about folders, limits and mounts. */
export function reportWalk(sentences: readonly string[], problems: Problems): void {
  const about = new Set(sentences.map((sentence) => `folder: ${sentence}`));
  for (const sentence of sentences) problems.set(`folder: ${sentence}`, sentence);
  problems.clearOthers("folder: ", about);
}
