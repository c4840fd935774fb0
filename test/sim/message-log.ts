import type { Message } from "../../store/raft/message.ts";
import type { Timeline } from "./timeline.ts";

/** Codes of the kinds in the trace's hash. */
const KINDS: Readonly<Record<Message["kind"], number>> = {
  append: 1,
  appendResponse: 2,
  vote: 3,
  voteResponse: 4,
  preVote: 5,
  preVoteResponse: 6,
  heartbeat: 7,
  heartbeatResponse: 8,
  snapshot: 9,
  timeoutNow: 10,
  propose: 11,
  readIndex: 12,
  readIndexResponse: 13,
  transferLeader: 14,
};

interface Line {
  readonly atMs: number;
  readonly number: number;
  readonly what: Message | string;
}

/** The last things that were said and done, for the report of a failure: kept as they are, and put into words only then. */
export class MessageLog {
  readonly #timeline: Timeline;
  readonly #messages: Ring<Line>;
  readonly #notes: Ring<Line>;
  #count = 0;

  constructor(timeline: Timeline, options: { readonly kept: number }) {
    this.#timeline = timeline;
    this.#messages = new Ring(options.kept);
    this.#notes = new Ring(options.kept);
  }

  delivered(message: Message): void {
    this.#timeline.mix(KINDS[message.kind]);
    this.#timeline.mix(message.term);
    if (!isRoutine(message)) this.#messages.add(this.#line(message));
  }

  /** A sentence: faults, restarts, leaders. */
  note(text: string): void {
    this.#notes.add(this.#line(text));
  }

  /** Oldest first; heartbeats that ask nothing are left out. */
  lines(): readonly string[] {
    const all = [...this.#messages.inOrder(), ...this.#notes.inOrder()].sort((a, b) => a.number - b.number);
    return all.map(({ atMs, what }) => {
      const text = typeof what === "string" ? what : formatMessage(what);
      return `${(atMs / 1000).toFixed(4).padStart(9)} ${text}`;
    });
  }

  #line(what: Message | string): Line {
    this.#count += 1;
    return { atMs: this.#timeline.nowMs, number: this.#count, what };
  }
}

function isRoutine(message: Message): boolean {
  return (message.kind === "heartbeat" || message.kind === "heartbeatResponse") && message.readPosition === 0;
}

/** The last items that were added. */
class Ring<Item> {
  readonly #kept: number;
  readonly #items: Item[] = [];
  #next = 0;

  constructor(kept: number) {
    this.#kept = kept;
  }

  add(item: Item): void {
    this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.#kept;
  }

  inOrder(): readonly Item[] {
    return [...this.#items.slice(this.#next), ...this.#items.slice(0, this.#next)];
  }
}

/** "a1→a2 t3 append prev 2/7 +2 commit 7". */
export function formatMessage(message: Message): string {
  const { from, to, term, kind } = message;
  const head = `${from.toString(16)}→${to.toString(16)} t${term} ${kind}`;
  switch (message.kind) {
    case "append": {
      const { prev, entries, commit } = message;
      const terms = entries.length === 0 ? "" : ` (${entries[0]?.term}..${entries.at(-1)?.term})`;
      return `${head} prev ${prev.term}/${prev.index} +${entries.length}${terms} commit ${commit}`;
    }
    case "appendResponse":
      return message.reject
        ? `${head} rejects ${message.index}, hint ${message.hint.term}/${message.hint.index}`
        : `${head} has ${message.index}`;
    case "vote":
    case "preVote":
      return `${head} last ${message.last.term}/${message.last.index}${message.isTransfer ? " (transfer)" : ""}`;
    case "voteResponse":
    case "preVoteResponse":
      return `${head} ${message.reject ? "no" : "yes"}`;
    case "heartbeat":
      return `${head} commit ${message.commit} reads ${message.readPosition}`;
    case "heartbeatResponse":
      return `${head} reads ${message.readPosition}`;
    case "snapshot":
      return `${head} at ${message.snapshot.term}/${message.snapshot.index}`;
    case "readIndex":
      return `${head} ${message.context.toString(16)}`;
    case "readIndexResponse":
      return `${head} ${message.context.toString(16)} index ${message.index}`;
    case "propose":
      return `${head} ${message.id.toString(16)} ${message.entry.kind} ${message.entry.data.length} B`;
    case "transferLeader":
      return `${head} to ${message.transferee.toString(16)}`;
    case "timeoutNow":
      return head;
    default:
      return message satisfies never;
  }
}
