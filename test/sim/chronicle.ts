import { Event, Event_EventType } from "../../store/proto/gen/kv.ts";
import { Violation } from "../support/violation.ts";

/** What a key is from one revision on, until its next change. Texts are latin1. */
export interface KeyState {
  readonly key: string;
  readonly revision: number;
  /** Undefined: it is deleted. */
  readonly value: string | undefined;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export interface Chapter {
  readonly revision: number;
  /** When the first member had applied it. */
  readonly atMs: number;
  readonly changes: readonly KeyState[];
  readonly events: readonly Uint8Array[];
}

/**
 * The one history that all members have to tell: the events of each revision, as the first member that applied it told
 * them. Every other member is held to it, byte by byte; clients' answers and watches are held to what follows from it.
 */
export class Chronicle {
  /** The chapter of revision r is at r - 2: revision 1 is the empty store. */
  readonly #chapters: Chapter[] = [];
  readonly #keys = new Map<string, KeyState[]>();
  readonly #onChapter: (chapter: Chapter) => void;
  /** By revision, what waits for it. */
  readonly #awaited = new Map<number, (() => void)[]>();

  constructor(onChapter: (chapter: Chapter) => void) {
    this.#onChapter = onChapter;
  }

  get revision(): number {
    return this.#chapters.length + 1;
  }

  chapter(revision: number): Chapter | undefined {
    return this.#chapters[revision - 2];
  }

  /** A member tells the events of a revision. */
  tell(member: string, revision: number, events: readonly Uint8Array[], atMs: number): void {
    const known = this.chapter(revision);
    if (known !== undefined) {
      if (isSame(known.events, events)) return;
      throw new Violation(
        "equal state",
        `${member} tells other events of revision ${revision} than another did`,
      );
    }
    if (revision !== this.revision + 1) {
      throw new Violation("watch complete", `${member} tells of revision ${revision} after ${this.revision}`);
    }
    const changes = events.map((event) => this.#change(Event.decode(Buffer.from(event)), revision));
    const chapter = { revision, atMs, changes, events };
    this.#chapters.push(chapter);
    this.#onChapter(chapter);
    const awaiting = this.#awaited.get(revision) ?? [];
    this.#awaited.delete(revision);
    for (const run of awaiting) run();
  }

  /**
   * Runs a check of what a client was told, once a revision is in the history: a member that has applied it shows it to
   * readers, and tells its watchers, one after another, this chronicle not the first.
   */
  whenTold(revision: number, check: () => void): void {
    const awaiting = this.#awaited.get(revision);
    if (revision <= this.revision) check();
    else if (awaiting === undefined) this.#awaited.set(revision, [check]);
    else awaiting.push(check);
  }

  /** The lowest revision that some client saw, and nobody has applied. */
  get firstAwaited(): number | undefined {
    return this.#awaited.size === 0 ? undefined : Math.min(...this.#awaited.keys());
  }

  /** A key as of a revision; undefined when it did not exist, or was deleted. */
  at(key: string, revision: number): KeyState | undefined {
    const states = this.#keys.get(key) ?? [];
    for (let i = states.length - 1; i >= 0; i -= 1) {
      const state = states[i] as KeyState;
      if (state.revision <= revision) return state.value === undefined ? undefined : state;
    }
    return undefined;
  }

  /** The keys of a range as of a revision, in order. */
  range(range: Span, revision: number): readonly KeyState[] {
    const keys = [...this.#keys.keys()].filter((key) => isIn(range, key)).sort();
    return keys.flatMap((key) => this.at(key, revision) ?? []);
  }

  /** Events of a range in one revision. */
  eventsOf(range: Span, revision: number): readonly Uint8Array[] {
    const chapter = this.chapter(revision);
    if (chapter === undefined) return [];
    return chapter.events.filter((_, i) => isIn(range, (chapter.changes[i] as KeyState).key));
  }

  /** Keys of a range that were deleted in one revision. */
  deletedIn(range: Span, revision: number): number {
    const { changes } = this.chapter(revision) ?? { changes: [] };
    return changes.filter(({ key, value }) => value === undefined && isIn(range, key)).length;
  }

  /** The first revision from `from` up to `through` with an event in the range. */
  nextIn(range: Span, from: number, through: number): number | undefined {
    for (let revision = Math.max(from, 2); revision <= through; revision += 1) {
      const { changes } = this.chapter(revision) ?? { changes: [] };
      if (changes.some(({ key }) => isIn(range, key))) return revision;
    }
    return undefined;
  }

  #change({ type, kv }: Event, revision: number): KeyState {
    const key = kv?.key.toString("latin1") ?? "";
    const state =
      type === Event_EventType.DELETE || kv === undefined
        ? { key, revision, value: undefined, createRevision: 0, version: 0, lease: 0n }
        : { ...kv, key, revision, value: kv.value.toString("latin1") };
    if (kv?.modRevision !== revision) {
      throw new Violation(
        "watch atomic",
        `an event of revision ${kv?.modRevision} is told at revision ${revision}`,
      );
    }
    const states = this.#keys.get(key);
    if (states === undefined) this.#keys.set(key, [state]);
    else states.push(state);
    return state;
  }
}

/** Keys from `start` to before `end`; without an end, the one key. Latin1. */
export interface Span {
  readonly start: string;
  readonly end: string | undefined;
}

export function isIn({ start, end }: Span, key: string): boolean {
  return end === undefined ? key === start : key >= start && key < end;
}

function isSame(one: readonly Uint8Array[], other: readonly Uint8Array[]): boolean {
  return (
    one.length === other.length &&
    one.every((event, i) => Buffer.compare(event, other[i] as Uint8Array) === 0)
  );
}
