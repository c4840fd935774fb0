import type { WrittenContent } from "./journal.ts";

/** A whole line, or what a rotation in the middle of one made of it. `from` and `to` are of the log's stream. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  /** Index of the content that holds it. */
  readonly content: number;
}

/** Everything that can come as a record: the stream cut where lines start (ascending), and where contents do. */
export function piecesOf(
  contents: readonly WrittenContent[],
  lineStarts: readonly number[],
): readonly Piece[] {
  return contents.flatMap(({ from, to }, content) => {
    if (from === to) return [];
    const inside = lineStarts.slice(firstAbove(lineStarts, from), firstAbove(lineStarts, to - 1));
    const edges = [from, ...inside, to];
    return edges.slice(0, -1).map((edge, index) => ({ from: edge, to: edges[index + 1] ?? to, content }));
  });
}

/** Index of the first number above a bound. */
function firstAbove(sorted: readonly number[], bound: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}
