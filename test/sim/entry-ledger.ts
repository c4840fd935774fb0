import { crc32c } from "@node-rs/crc32";
import type { Applied } from "../../store/apply/types.ts";
import { InternalRaftRequest } from "../../store/proto/gen/internal.ts";
import type { Entry } from "../../store/raft/types.ts";
import { Violation } from "../support/violation.ts";

interface Line {
  /** Of what applying it gave, revision included. */
  readonly outcome: number;
}

/** What an entry asked for, told once, by the first member that applied it. */
export interface FirstApplied {
  readonly index: number;
  readonly request: InternalRaftRequest["request"];
  readonly applied: Applied;
}

/** What applying each entry of the log gave, which must be the same on every member, in each of its lives. */
export class EntryLedger {
  readonly #lines: (Line | undefined)[] = [];
  readonly #requestIds = new Map<bigint, number>();
  readonly #onFirst: (entry: FirstApplied) => void;

  constructor(onFirst: (entry: FirstApplied) => void) {
    this.#onFirst = onFirst;
  }

  applied(member: string, entry: Entry, applied: Applied): void {
    const outcome = digest(applied);
    const known = this.#lines[entry.index];
    if (known === undefined) {
      this.#lines[entry.index] = { outcome };
      this.#first(entry, applied);
    } else if (known.outcome !== outcome) {
      throw new Violation(
        "equal state",
        `${member} got another outcome of entry ${entry.term}/${entry.index} than another did: ${describe(applied)}`,
      );
    }
  }

  #first(entry: Entry, applied: Applied): void {
    if (entry.kind !== "normal" || entry.data.length === 0) return;
    const { header, request } = InternalRaftRequest.decode(entry.data);
    const id = header?.ID ?? 0n;
    const before = this.#requestIds.get(id);
    if (before !== undefined && id !== 0n) {
      throw new Violation(
        "once",
        `request ${id.toString(16)} is in the log at ${before} and at ${entry.index}`,
      );
    }
    this.#requestIds.set(id, entry.index);
    this.#onFirst({ index: entry.index, request, applied });
  }
}

function digest({ outcome }: Applied): number {
  if (outcome.kind === "refused") return crc32c(`${outcome.revision} ${outcome.error.code}`);
  return crc32c(outcome.response, outcome.revision);
}

function describe({ outcome }: Applied): string {
  const { kind, revision } = outcome;
  return kind === "refused"
    ? `${outcome.error.code} at ${revision}`
    : `${outcome.response.length} B at ${revision}`;
}
