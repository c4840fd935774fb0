import { type KeyAt, Revisions } from "./revisions.ts";

/** What came back from a call. "failed": it has not happened and never will. "unknown": nobody can tell. */
export type Reply<Result> =
  | ({ readonly kind: "done" } & Result)
  | { readonly kind: "failed"; readonly code: string }
  | { readonly kind: "unknown"; readonly code: string };

/** One write under way. */
export interface Write {
  readonly what: string;
  readonly keys: readonly string[];
  /** Unique, so that its traces are known; undefined deletes. */
  readonly value: string | undefined;
  readonly invokedMs: number;
  /** The newest revision that anybody knew of when this was begun: it comes after that. */
  readonly floor: number;
  outcome: "pending" | "done" | "failed" | "unknown";
  code: string;
  /** Where it is in the history. */
  revision: number | undefined;
}

export interface Read {
  readonly what: string;
  readonly floor: number;
}

/** A key as a client saw it. */
export type SeenKey = Omit<KeyAt, "value"> & { readonly value: string };

export interface Violation {
  readonly law: string;
  readonly text: string;
}

const VIOLATIONS_KEPT = 20;
/** Keys that clients use as registers begin so; a lease's keys do not. */
export const REGISTERS = "register/";

/**
 * The operations of all clients, held to linearizability. Each write has its place: the revision that it made; each read: the
 * revision that it saw. They are linearizable when what has ended before another began has the lower place, and every
 * answer is what the history says at its place. Only operations of unknown outcome have to be looked for: a put by its
 * value, a deletion by what is gone and nobody else took.
 */
export class History {
  readonly revisions: Revisions;
  readonly violations: Violation[] = [];
  readonly counts = { writes: 0, reads: 0, failed: 0, unknown: 0, violations: 0 };
  readonly #now: () => number;
  readonly #byValue = new Map<string, Write>();
  /** What can be judged once the history has got so far. */
  readonly #later = new Map<number, (() => void)[]>();
  readonly #lostDeletes: Write[] = [];
  readonly #pendingDeletes = new Set<Write>();
  readonly #deletedAt: { readonly key: string; readonly revision: number; readonly atMs: number }[] = [];
  readonly #listeners: ((change: KeyAt, atMs: number) => void)[] = [];
  #floor: number;

  constructor(options: { readonly start: number; readonly now?: () => number }) {
    this.#floor = options.start;
    this.#now = options.now ?? (() => performance.now());
    this.revisions = new Revisions({
      start: options.start,
      onViolation: (law, text) => this.violate(law, text),
      onRevision: (revision, changes) => this.#inHistory(revision, changes),
    });
  }

  violate(law: string, text: string): void {
    this.counts.violations += 1;
    if (this.violations.length < VIOLATIONS_KEPT) this.violations.push({ law, text });
  }

  /** Hears of every change, when the first watcher is told. */
  onChange(listener: (change: KeyAt, atMs: number) => void): void {
    this.#listeners.push(listener);
  }

  beginWrite(what: string, keys: readonly string[], value: string | undefined): Write {
    const write: Write = {
      what: `${what} ${keys.join(", ")}${value === undefined ? "" : `=${value}`}`,
      keys,
      value,
      invokedMs: this.#now(),
      floor: this.#floor,
      outcome: "pending",
      code: "",
      revision: undefined,
    };
    if (value !== undefined) this.#byValue.set(value, write);
    else this.#pendingDeletes.add(write);
    return write;
  }

  beginRead(what: string): Read {
    return { what, floor: this.#floor };
  }

  /** It was acknowledged, and made this revision. */
  wrote(write: Write, revision: number): void {
    write.outcome = "done";
    this.counts.writes += 1;
    this.#pendingDeletes.delete(write);
    if (revision <= write.floor) {
      this.violate(
        "linearizable",
        `${write.what} is at ${revision}; ${write.floor} was known before it began`,
      );
    }
    this.observed(revision);
    this.#when(revision, () => this.#assertKept(write, revision));
  }

  /** It has not happened: it was refused, or found nothing to do. Also for what was answered and is none. */
  notWritten(write: Write, code: string): void {
    write.outcome = "failed";
    write.code = code;
    this.counts.failed += 1;
    this.#pendingDeletes.delete(write);
    if (write.revision !== undefined) {
      this.violate("honest errors", `${write.what} failed (${code}), and is at ${write.revision}`);
    }
  }

  /** Nobody knows whether it has happened, or will. */
  lostSight(write: Write, code: string): void {
    write.outcome = "unknown";
    write.code = code;
    this.counts.unknown += 1;
    if (this.#pendingDeletes.delete(write)) this.#lostDeletes.push(write);
  }

  /** `read` saw these keys under `prefix` (or the one key) at this revision. `stale`: it did not ask for the newest. */
  saw(
    read: Read,
    seen: { readonly revision: number; readonly kvs: readonly SeenKey[]; readonly stale: boolean } & (
      | { readonly prefix: string }
      | { readonly key: string }
    ),
  ): void {
    const { revision, kvs } = seen;
    this.counts.reads += 1;
    if (!seen.stale) {
      if (revision < read.floor) {
        this.violate("linearizable", `${read.what} saw ${revision}; ${read.floor} was known before it began`);
      }
      this.observed(revision);
    }
    this.#when(revision, () => {
      if (revision < this.revisions.first) return;
      const expected =
        "prefix" in seen
          ? this.revisions.range(seen.prefix, revision)
          : [this.revisions.at(seen.key, revision)].filter((state) => state !== undefined);
      const found = textOf(kvs);
      const told = textOf(expected);
      if (found !== told) {
        this.violate("linearizable", `${read.what} at ${revision} saw [${found}], expected [${told}]`);
      }
    });
  }

  /** A compare-and-swap did, or did not, find the key last changed at `expected` (0: absent), at this revision. */
  compared(
    write: Write,
    found: { readonly expected: number; readonly revision: number; readonly succeeded: boolean },
  ): void {
    const { expected, revision, succeeded } = found;
    const place = succeeded ? revision - 1 : revision;
    this.#when(revision, () => {
      if (place < this.revisions.first) return;
      const before = this.revisions.at(write.keys[0] ?? "", place)?.revision ?? 0;
      if ((before === expected) !== succeeded) {
        this.violate(
          "linearizable",
          `${write.what} ${succeeded ? "swapped" : "did not swap"} ${expected} at ${revision}, where it was ${before}`,
        );
      }
    });
  }

  /** A client knows of this revision from now on. */
  observed(revision: number): void {
    this.#floor = Math.max(this.#floor, revision);
  }

  /** Acknowledged operations that the history has not reached yet. */
  get waiting(): number {
    return this.#later.size;
  }

  /**
   * Each register that is gone was deleted by somebody who may have done it then. To be asked when no operation is under
   * way, and every acknowledged one has been judged.
   */
  assertDeletesExplained(): void {
    for (const { key, revision, atMs } of this.#deletedAt.splice(0)) {
      // What may stand for a revision may stand for every later one: the first that fits is as good as any.
      const at = this.#lostDeletes.findIndex(
        (write) => write.keys[0] === key && write.floor < revision && write.invokedMs <= atMs,
      );
      if (at === -1) this.violate("history", `nobody deleted ${key}, which is gone at ${revision}`);
      else this.#lostDeletes.splice(at, 1);
    }
  }

  #when(revision: number, judge: () => void): void {
    if (revision <= this.revisions.last) {
      judge();
      return;
    }
    const waiting = this.#later.get(revision);
    if (waiting === undefined) this.#later.set(revision, [judge]);
    else waiting.push(judge);
  }

  #inHistory(revision: number, changes: readonly KeyAt[]): void {
    const atMs = this.#now();
    const writes = new Set<Write>();
    for (const change of changes) {
      for (const listener of this.#listeners) listener(change, atMs);
      if (!change.key.startsWith(REGISTERS)) continue;
      if (change.value === undefined) {
        this.#deletedAt.push({ key: change.key, revision, atMs });
        continue;
      }
      const write = this.#byValue.get(change.value);
      if (write !== undefined) writes.add(write);
      else this.violate("history", `nobody put ${change.value}, which ${change.key} is at ${revision}`);
    }
    for (const write of writes) this.#place(write, revision, changes);
    this.observed(revision);
    for (const judge of this.#later.get(revision) ?? []) judge();
    this.#later.delete(revision);
  }

  #place(write: Write, revision: number, changes: readonly KeyAt[]): void {
    const put = changes.filter(({ value }) => value === write.value).map(({ key }) => key);
    if (put.toSorted().join() !== write.keys.toSorted().join()) {
      this.violate("atomic", `${write.what} changed ${put.join(", ")} at ${revision}`);
    }
    if (write.revision !== undefined) {
      this.violate("once", `${write.what} is in the history at ${write.revision} and at ${revision}`);
    }
    if (write.outcome === "failed") {
      this.violate("honest errors", `${write.what} failed (${write.code}), and is at ${revision}`);
    }
    if (revision <= write.floor) {
      this.violate(
        "linearizable",
        `${write.what} is at ${revision}; ${write.floor} was known before it began`,
      );
    }
    write.revision = revision;
  }

  #assertKept(write: Write, revision: number): void {
    if (write.value !== undefined) {
      if (write.revision !== revision) {
        this.violate(
          "acknowledged",
          `${write.what} was acknowledged at ${revision}, it is at ${write.revision}`,
        );
      }
      // Should it turn up again, nobody has put it.
      this.#byValue.delete(write.value);
      return;
    }
    const at = this.#deletedAt.findIndex((one) => one.revision === revision && one.key === write.keys[0]);
    if (at === -1)
      this.violate("acknowledged", `${write.what} was acknowledged at ${revision}, it is not there`);
    else this.#deletedAt.splice(at, 1);
  }
}

function textOf(states: readonly KeyAt[]): string {
  return states
    .map(({ key, value, revision, version }) => `${key}=${value}@${revision} v${version}`)
    .join(" ");
}
