import { Violation } from "../support/violation.ts";
import type { Chapter, Chronicle, KeyState } from "./chronicle.ts";

/** A write that a client has begun. Its values are unique, so that its traces in the history are known. */
export interface WriteOperation {
  readonly what: string;
  readonly invokedMs: number;
  /** The newest revision that some client knew of when this was begun: it comes after it. */
  readonly floor: number;
  /** "unknown": its client got no answer that tells. "failed": an answer that says it has not happened, and will not. */
  outcome: "pending" | "done" | "failed" | "unknown";
  /** The error that says so. */
  code: string;
  /** Where it is in the history. */
  revision: number | undefined;
}

export interface DeleteOperation extends WriteOperation {
  readonly key: string;
}

/**
 * The operations of all clients, held to linearizability. Revisions are the order: an operation's place is the revision that
 * it made or saw. It is linearizable when what one has ended before another began has the lower place, and each answer is
 * what the history says at its place. Writes without an answer are found in the history by their value; only deletions
 * without one have to be searched for.
 */
export class Operations {
  /** Highest place of an operation that has ended. */
  #floor = 1;
  readonly #byValue = new Map<string, WriteOperation>();
  readonly #deletes: DeleteOperation[] = [];
  /** Revisions in which a delete request, and not a lease's end, took a single key away. */
  readonly #deletedAt: { readonly key: string; readonly revision: number; readonly atMs: number }[] = [];
  done = 0;
  failed = 0;
  unknown = 0;

  get floor(): number {
    return this.#floor;
  }

  /** Begins a write that puts `value`, wherever. */
  beginPut(value: string, what: string, nowMs: number): WriteOperation {
    const operation = begin(what, nowMs, this.#floor);
    this.#byValue.set(value, operation);
    return operation;
  }

  beginDelete(key: string, nowMs: number): DeleteOperation {
    const operation = { ...begin(`delete ${key}`, nowMs, this.#floor), key };
    this.#deletes.push(operation);
    return operation;
  }

  /** A new revision: the writes in it must have been asked for, once, and not be older than what was known before them. */
  inHistory({ changes, revision }: Chapter): void {
    const operations = new Set<WriteOperation>();
    for (const { value, key } of changes) {
      if (value === undefined) continue;
      const operation = this.#byValue.get(value);
      if (operation === undefined)
        throw new Violation("history", `nobody put ${value}, which ${key} is at ${revision}`);
      operations.add(operation);
    }
    for (const operation of operations) place(operation, revision);
  }

  /** A delete request was applied, and took its key away. */
  deleted(key: string, revision: number, atMs: number): void {
    this.#deletedAt.push({ key, revision, atMs });
  }

  /** The client was told that it is done, at this revision: for a write, the one that it made. */
  endDone(operation: WriteOperation, revision: number, chronicle: Chronicle): void {
    operation.outcome = "done";
    this.done += 1;
    if (operation.revision !== undefined && operation.revision !== revision) {
      throw new Violation(
        "linearizable",
        `${operation.what} was answered with revision ${revision}, it is at ${operation.revision}`,
      );
    }
    operation.revision = revision;
    if (revision <= operation.floor) {
      throw new Violation(
        "linearizable",
        `${operation.what} is at ${revision}; ${operation.floor} was known before it began`,
      );
    }
    if (chronicle.chapter(revision) === undefined) {
      throw new Violation(
        "linearizable",
        `${operation.what} was answered with revision ${revision}, which nobody has applied`,
      );
    }
    this.observed(revision);
  }

  endUnknown(operation: WriteOperation, code: string): void {
    operation.outcome = "unknown";
    operation.code = code;
    this.unknown += 1;
  }

  /** `code`: of an error, or why nothing was written. */
  endFailed(operation: WriteOperation, code: string): void {
    operation.outcome = "failed";
    operation.code = code;
    this.failed += 1;
    if (operation.revision !== undefined) {
      throw new Violation(
        "honest errors",
        `${operation.what} failed (${code}), and is at ${operation.revision}`,
      );
    }
  }

  /** A read, or a write that found nothing to do, that began when `floor` was known, was answered from `revision`. */
  read(what: string, floor: number, revision: number): void {
    if (revision < floor) {
      throw new Violation(
        "linearizable",
        `${what} saw revision ${revision}; ${floor} was known before it began`,
      );
    }
    this.observed(revision);
  }

  /** A client knows of this revision from now on. */
  observed(revision: number): void {
    this.#floor = Math.max(this.#floor, revision);
  }

  /** At the end: each deletion in the history was asked for, by an operation of its own that may have happened then. */
  assertDeletesExplained(): void {
    const claimed = new Set(
      this.#deletes.flatMap(({ key, revision }) => (revision === undefined ? [] : `${revision} ${key}`)),
    );
    const unclaimed = this.#deletedAt.filter(({ key, revision }) => !claimed.has(`${revision} ${key}`));
    const free = new Set(
      this.#deletes.filter(({ outcome }) => outcome === "unknown" || outcome === "pending"),
    );
    // An operation that may stand for a revision may stand for every later one: the first that fits is as good as any.
    for (const { key, revision, atMs } of unclaimed.sort((a, b) => a.revision - b.revision)) {
      const match = [...free].find((one) => one.key === key && one.floor < revision && one.invokedMs <= atMs);
      if (match === undefined)
        throw new Violation("history", `nobody deleted ${key}, which is gone at ${revision}`);
      free.delete(match);
    }
  }
}

/** Why a change of a key is there. */
export function textOf({ key, value, revision }: KeyState): string {
  return `${key}${value === undefined ? " deleted" : `=${value}`} at ${revision}`;
}

function begin(what: string, invokedMs: number, floor: number): WriteOperation {
  return { what, invokedMs, floor, outcome: "pending", code: "", revision: undefined };
}

function place(operation: WriteOperation, revision: number): void {
  if (operation.revision !== undefined) {
    throw new Violation(
      "once",
      `${operation.what} is in the history at ${operation.revision} and at ${revision}`,
    );
  }
  if (operation.outcome === "failed") {
    throw new Violation(
      "honest errors",
      `${operation.what} failed (${operation.code}), and is at ${revision}`,
    );
  }
  if (revision <= operation.floor) {
    throw new Violation(
      "linearizable",
      `${operation.what} is at ${revision}; ${operation.floor} was known before it began`,
    );
  }
  operation.revision = revision;
}
