import type { SaidLoss } from "./agent-lives.ts";
import type { LogJournal, WrittenContent } from "./journal.ts";
import { numberIn, streamOf } from "./line-stream.ts";
import type { Mode } from "./modes.ts";
import { type Piece, piecesOf } from "./pieces.ts";

/** A record of the log's path, in the order of the partition. */
export interface Arrival {
  readonly path: string;
  readonly id: string;
  /** In the file. */
  readonly offset: number;
  readonly text: string;
  /** The life of the agent that read it. */
  readonly life: number;
}

/** What was durable of a file when a life began; undefined: nothing. */
export type DurableAt = (life: number, id: string) => number | undefined;

/** What the round knows of the agent and the disk. */
export interface Evidence {
  readonly durableAt: DurableAt;
  readonly mode: Mode;
  /** Of files that checkpoints named: id → `inode:birth time`. */
  readonly identities: ReadonlyMap<string, string>;
  /** Loss records of this log's path. */
  readonly losses: readonly SaidLoss[];
  /** `inode:birth time` of every file there is. */
  readonly present: ReadonlySet<string>;
}

export interface LogFigures {
  lines: number;
  bytes: number;
  contents: number;
  duplicates: number;
  /** Lines that did not arrive, and are in loss records. */
  lostLines: number;
  lostBytes: number;
}

/** The account of one log: each byte that was written, and what became of it. */
export class LogAccount {
  readonly name: string;
  readonly contents: readonly WrittenContent[];
  readonly violations: string[] = [];
  readonly #text: string;
  readonly #starts: readonly number[];
  readonly #pieces: readonly Piece[];
  readonly #pieceAt: ReadonlyMap<number, number>;
  /** By piece: the life that brought it first; -1: it did not arrive. */
  readonly #firstLife: Int16Array;
  readonly #contentOf = new Map<string, number>();
  /** Arrivals of ids of which no whole line came yet. */
  readonly #unplaced = new Map<string, Arrival[]>();
  #arrived = 0;
  #duplicates = 0;
  /** By path: the last of the lines that came for the first time. */
  readonly #furthest = new Map<string, number>();
  /** By path and life: what came last. */
  readonly #lastOf = new Map<string, number>();

  constructor(journal: LogJournal) {
    this.name = journal.name;
    this.contents = journal.contents;
    const { text, starts } = streamOf(journal.name, journal.contents.at(-1)?.to ?? 0);
    this.#text = text;
    this.#starts = starts;
    this.#pieces = piecesOf(this.contents, starts);
    this.#pieceAt = new Map(this.#pieces.map(({ from }, index) => [from, index]));
    this.#firstLife = new Int16Array(this.#pieces.length).fill(-1);
  }

  get isComplete(): boolean {
    return this.#arrived === this.#pieces.length;
  }

  arrived(arrival: Arrival, durableAt: DurableAt): void {
    const content = this.#contentOf.get(arrival.id) ?? this.#place(arrival);
    if (content === undefined) {
      const waiting = this.#unplaced.get(arrival.id) ?? [];
      this.#unplaced.set(arrival.id, [...waiting, arrival]);
      return;
    }
    const waiting = this.#unplaced.get(arrival.id) ?? [];
    this.#unplaced.delete(arrival.id);
    for (const one of [...waiting, arrival]) this.#enter(one, content, durableAt);
  }

  /** What is to be said of it now. */
  settle(evidence: Evidence): {
    readonly violations: readonly string[];
    readonly figures: LogFigures;
  } {
    const contentOf = this.#contentsByIdentity(evidence);
    this.#placeRest(contentOf, evidence.durableAt);
    const violations = [...this.violations];
    for (const arrival of [...this.#unplaced.values()].flat()) {
      if (this.#contentsWith(arrival).length > 0) continue;
      violations.push(`nobody wrote ${show(arrival.text)}, at ${arrival.id}:${arrival.offset}`);
    }
    const figures: LogFigures = {
      lines: this.#pieces.length,
      bytes: this.#text.length,
      contents: this.contents.length,
      duplicates: this.#duplicates,
      lostLines: 0,
      lostBytes: 0,
    };
    const unsaid: Piece[] = [];
    for (const [index, piece] of this.#pieces.entries()) {
      if (this.#firstLife[index] !== -1) continue;
      if (this.#isSaid(piece, contentOf, evidence)) {
        figures.lostLines += 1;
        figures.lostBytes += piece.to - piece.from;
      } else unsaid.push(piece);
    }
    violations.push(...this.#describeLost(unsaid, contentOf));
    for (const loss of evidence.losses) {
      const content = contentOf.get(loss.file);
      if (evidence.mode.takes === "nothing" || (content !== undefined && !this.#isGone(content, evidence)))
        violations.push(`said to be lost, and is there: ${JSON.stringify(loss)} of content ${content}`);
    }
    return { violations, figures };
  }

  /** Which content an id stands for: the number of a whole line tells, or the only place where the text was written. */
  #place(arrival: Arrival): number | undefined {
    const number = numberIn(this.name, arrival.text);
    const start = number === undefined ? undefined : this.#starts[number];
    const contents = start === undefined ? this.#contentsWith(arrival) : [this.#contentAt(start)];
    const [content] = contents;
    if (content === undefined || contents.length > 1) return undefined;
    this.#contentOf.set(arrival.id, content);
    return content;
  }

  /** Of ids of which no whole line came, and whose texts are in several files: the checkpoints' identities tell. */
  #placeRest(contentOf: ReadonlyMap<string, number>, durableAt: DurableAt): void {
    for (const [id, arrivals] of this.#unplaced) {
      const content = contentOf.get(id);
      if (content === undefined) continue;
      this.#unplaced.delete(id);
      for (const arrival of arrivals) this.#enter(arrival, content, durableAt);
    }
  }

  #contentAt(position: number): number {
    return this.contents.findIndex(({ from, to }) => from <= position && position < to);
  }

  #enter({ path, id, offset, text, life }: Arrival, content: number, durableAt: DurableAt): void {
    const base = this.contents[content]?.from ?? 0;
    const index = this.#pieceAt.get(base + offset);
    const piece = index === undefined ? undefined : this.#pieces[index];
    if (index === undefined || piece?.content !== content || this.#textOf(piece) !== text) {
      this.violations.push(`${id}:${offset} is not ${show(text)}, as it came from life ${life}`);
      return;
    }
    const first = this.#firstLife[index] ?? -1;
    if (first === -1) {
      this.#arrived += 1;
      this.#firstLife[index] = life;
      this.#inOrder(this.#furthest, path, index, () => `from life ${life}, after later ones`);
    } else {
      this.#duplicates += 1;
      const durable = durableAt(life, id) ?? 0;
      if (offset < durable)
        this.violations.push(
          `twice, though ${durable} bytes of ${id} were durable: ${this.#describe(piece)} from lives ${first} and ${life}`,
        );
    }
    this.#inOrder(this.#lastOf, `${life} ${path}`, index, () => `within life ${life}`);
  }

  #inOrder(last: Map<string, number>, key: string, index: number, when: () => string): void {
    const before = last.get(key) ?? -1;
    last.set(key, Math.max(before, index));
    const [piece, later] = [this.#pieces[index], this.#pieces[before]];
    if (index > before || piece === undefined || later === undefined) return;
    this.violations.push(
      `out of order, or twice, ${when()}: ${this.#describe(piece)} after ${this.#describe(later)}`,
    );
  }

  /** Is a piece that did not arrive in a loss record? */
  #isSaid(piece: Piece, contentOf: ReadonlyMap<string, number>, evidence: Evidence): boolean {
    const { mode, losses } = evidence;
    const { content, from, to } = piece;
    if (mode.takes === "nothing" || !this.#isGone(content, evidence)) return false;
    const base = this.contents[content]?.from ?? 0;
    const isKnown = [...contentOf.values()].includes(content);
    // A record of which nothing tells the content may be about one that nobody knows anything of.
    const mine = losses.filter(({ file }) => {
      const about = contentOf.get(file);
      return about === content || (about === undefined && !isKnown);
    });
    if (isCovered(mine, from - base, to - base)) return true;
    if (isKnown) return false;
    // It came and went between two looks: what is said of the content before, which went as well, reaches over this one.
    const before = Math.max(-1, ...[...contentOf.values()].filter((other) => other < content));
    return losses.some(({ file, to: end }) => contentOf.get(file) === before && end === "unknown");
  }

  /** A content was truncated, or its file deleted. */
  #isGone(content: number, { mode, present }: Evidence): boolean {
    if (mode.takes === "contents") return content < this.contents.length - 1;
    const written = this.contents[content];
    return written === undefined || !present.has(`${written.ino}:${written.birthtimeNs}`);
  }

  /** Where files are not truncated, a checkpoint's identity tells of a content of which nothing arrived. */
  #contentsByIdentity({ mode, identities }: Evidence): ReadonlyMap<string, number> {
    const all = new Map(this.#contentOf);
    if (mode.takes === "contents") return all;
    for (const [id, identity] of identities) {
      const content = this.contents.findIndex(({ ino, birthtimeNs }) => `${ino}:${birthtimeNs}` === identity);
      if (content !== -1) all.set(id, content);
    }
    return all;
  }

  #contentsWith({ offset, text }: Arrival): readonly number[] {
    return this.contents.flatMap(({ from }, content) => {
      const index = this.#pieceAt.get(from + offset);
      const piece = index === undefined ? undefined : this.#pieces[index];
      return piece?.content === content && this.#textOf(piece) === text ? [content] : [];
    });
  }

  #textOf({ from, to }: Piece): string {
    return this.#text.slice(from, this.#text[to - 1] === "\n" ? to - 1 : to);
  }

  /** One sentence for each content. */
  #describeLost(pieces: readonly Piece[], contentOf: ReadonlyMap<string, number>): string[] {
    return [...Map.groupBy(pieces, ({ content }) => content)].map(([content, lost]) => {
      const ids = [...contentOf].filter(([, other]) => other === content).map(([id]) => id);
      const [first, last] = [lost[0], lost.at(-1)];
      const what = `lost and not said: ${lost.length} lines of file ${ids.join(", ") || "that nobody saw"}`;
      return first === undefined || last === undefined
        ? what
        : `${what}, from ${this.#describe(first)} to ${this.#describe(last)}`;
    });
  }

  #describe(piece: Piece): string {
    const { from = 0, to = 0 } = this.contents[piece.content] ?? {};
    return (
      `${this.name}, content ${piece.content} of ${this.contents.length} (${to - from} bytes), ` +
      `[${piece.from - from}, ${piece.to - from}): ${show(this.#textOf(piece))}`
    );
  }
}

function isCovered(losses: readonly SaidLoss[], from: number, to: number): boolean {
  let at = from;
  for (const loss of losses.toSorted((a, b) => a.from - b.from)) {
    const end = loss.to === "unknown" ? Number.POSITIVE_INFINITY : loss.to;
    if (loss.from <= at) at = Math.max(at, end);
  }
  return at >= to;
}

function show(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
