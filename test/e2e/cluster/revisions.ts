/** A key as it is from one revision on. */
export interface KeyAt {
  readonly key: string;
  readonly revision: number;
  /** Undefined: it is deleted, and the numbers below are 0. */
  readonly value: string | undefined;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export type OnViolation = (law: string, text: string) => void;

/**
 * The one history of the store: what the first watcher that heard of a revision was told of it. Everybody else is held to
 * that, and so is every answer.
 */
export class Revisions {
  readonly #onViolation: OnViolation;
  readonly #onRevision: (revision: number, changes: readonly KeyAt[]) => void;
  readonly #chapters = new Map<number, { readonly changes: readonly KeyAt[]; readonly digest: string }>();
  readonly #keys = new Map<string, KeyAt[]>();
  #first: number;
  #last: number;

  /** `start`: a revision at which the store is empty. `onRevision` hears of each later one, in order. */
  constructor(options: {
    readonly start: number;
    readonly onViolation: OnViolation;
    readonly onRevision: (revision: number, changes: readonly KeyAt[]) => void;
  }) {
    this.#first = options.start;
    this.#last = options.start;
    this.#onViolation = options.onViolation;
    this.#onRevision = options.onRevision;
  }

  /** The newest that anybody was told of. */
  get last(): number {
    return this.#last;
  }

  /** The oldest that can be asked for. */
  get first(): number {
    return this.#first;
  }

  /** Somebody who watches all keys, from the revision after `after` on. */
  reader(name: string, after: number): RevisionReader {
    return new RevisionReader(name, after, {
      tell: (revision, changes) => this.#tell(name, revision, changes),
      onViolation: this.#onViolation,
    });
  }

  changes(revision: number): readonly KeyAt[] {
    return this.#chapters.get(revision)?.changes ?? [];
  }

  /** The key as it was at a revision; undefined when it was not there. */
  at(key: string, revision: number): KeyAt | undefined {
    const states = this.#keys.get(key) ?? [];
    for (let i = states.length - 1; i >= 0; i -= 1) {
      const state = states[i] as KeyAt;
      if (state.revision <= revision) return state.value === undefined ? undefined : state;
    }
    return undefined;
  }

  /** All keys that start so, in order, as they were at a revision. */
  range(prefix: string, revision: number): readonly KeyAt[] {
    const found: KeyAt[] = [];
    for (const key of this.#keys.keys()) {
      const state = key.startsWith(prefix) ? this.at(key, revision) : undefined;
      if (state !== undefined) found.push(state);
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Lets go of what is older; the states at `revision` stay. */
  forgetBefore(revision: number): void {
    for (let old = this.#first; old < revision; old += 1) this.#chapters.delete(old);
    this.#first = Math.max(this.#first, revision);
    for (const [key, states] of this.#keys) {
      const newer = states.findIndex((state) => state.revision > revision);
      const kept = newer === -1 ? states.length - 1 : newer - 1;
      if (kept > 0) states.splice(0, kept);
      if (states.length === 1 && states[0]?.value === undefined) this.#keys.delete(key);
    }
  }

  #tell(name: string, revision: number, changes: readonly KeyAt[]): void {
    if (revision < this.#first) return;
    const digest = digestOf(changes);
    if (revision <= this.#last) {
      const known = this.#chapters.get(revision)?.digest;
      if (known !== undefined && known !== digest) {
        this.#onViolation("one truth", `${name} was told ${digest} of ${revision}, another ${known}`);
      }
      return;
    }
    this.#chapters.set(revision, { changes, digest });
    for (const change of changes) {
      const states = this.#keys.get(change.key);
      if (states === undefined) this.#keys.set(change.key, [change]);
      else states.push(change);
    }
    this.#last = revision;
    this.#onRevision(revision, changes);
  }
}

/** What one watcher was told, over however many streams and members: each revision once, in order, whole. */
export class RevisionReader {
  readonly #name: string;
  readonly #tell: (revision: number, changes: readonly KeyAt[]) => void;
  readonly #onViolation: OnViolation;
  #last: number;

  constructor(
    name: string,
    after: number,
    options: {
      readonly tell: (revision: number, changes: readonly KeyAt[]) => void;
      readonly onViolation: OnViolation;
    },
  ) {
    this.#name = name;
    this.#last = after;
    this.#tell = options.tell;
    this.#onViolation = options.onViolation;
  }

  get name(): string {
    return this.#name;
  }

  /** The last revision that it has heard of. */
  get last(): number {
    return this.#last;
  }

  /** Events as they came in one answer: of one revision, or of several. */
  hear(events: readonly KeyAt[]): void {
    for (let from = 0; from < events.length; ) {
      const revision = events[from]?.revision ?? 0;
      let to = from + 1;
      while (events[to]?.revision === revision) to += 1;
      this.#hearRevision(revision, events.slice(from, to));
      from = to;
    }
  }

  #hearRevision(revision: number, changes: readonly KeyAt[]): void {
    // All keys are watched, and no revision is without a change.
    if (revision !== this.#last + 1) {
      const law = revision > this.#last ? "watch complete" : "watch ordered and unique";
      this.#onViolation(law, `${this.#name} was told of revision ${revision} after ${this.#last}`);
      if (revision <= this.#last) return;
    }
    this.#last = revision;
    this.#tell(revision, changes);
  }
}

function digestOf(changes: readonly KeyAt[]): string {
  return changes
    .map(
      ({ key, value, createRevision, version, lease }) =>
        `${key}=${value ?? "(deleted)"} c${createRevision} v${version} l${lease.toString(16)}`,
    )
    .join("; ");
}
