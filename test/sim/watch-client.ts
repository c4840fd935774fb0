import { Event } from "../../store/proto/gen/kv.ts";
import { WatchRequest, WatchResponse } from "../../store/proto/gen/rpc.ts";
import type { OpenStream } from "./caller.ts";
import type { Span } from "./chronicle.ts";
import { type ClientWorld, MemberChoice } from "./clients.ts";
import { Violation } from "./violation.ts";

/** Between a stream and the next one. */
const PAUSE_MS = 20;
/** The same, when nobody listens where it turned to. */
const UNREACHABLE_PAUSE_MS = 200;

export interface WatchLoad {
  readonly span: Span;
  /** How long it takes for a message. */
  readonly slownessMs: number;
  /** After which it goes to another member, on average. */
  readonly stayMs: number;
}

/**
 * A client that watches a range for ever, from member to member: it goes on behind the last revision that it was told of.
 * Everything that it is told is held to the history: in order, each revision whole and once, none left out.
 */
export class WatchClient {
  readonly #world: ClientWorld;
  readonly #load: WatchLoad;
  readonly #members: MemberChoice;
  /** Everything below has been told, or was compacted. */
  #next: number;
  #stream: OpenStream | undefined;
  #attempt = 0;
  #isCalm = false;
  told = 0;

  constructor(world: ClientWorld, load: WatchLoad) {
    this.#world = world;
    this.#load = load;
    this.#members = new MemberChoice(world);
    this.#next = 2;
  }

  /** Opens a stream, and another one when it ends. */
  start(): void {
    const { caller, chance } = this.#world;
    const { span, slownessMs, stayMs } = this.#load;
    this.#attempt += 1;
    const attempt = this.#attempt;
    const again = (pauseMs: number) => {
      if (attempt !== this.#attempt) return;
      this.#stream?.close();
      caller.process.cancel(leaving);
      this.#attempt += 1;
      this.#members.change();
      caller.process.after(chance.longTail(pauseMs), () => this.start());
    };
    const request = WatchRequest.fromPartial({
      requestUnion: {
        $case: "createRequest",
        value: {
          key: Buffer.from(span.start, "latin1"),
          rangeEnd: Buffer.from(span.end ?? "", "latin1"),
          startRevision: this.#next,
          progressNotify: chance.hits(0.3),
        },
      },
    });
    const leaving = caller.process.after(chance.longTail(this.#isCalm ? 1500 : stayMs), () =>
      again(PAUSE_MS),
    );
    this.#stream = caller.open(
      this.#members.get(),
      "/etcdserverpb.Watch/Watch",
      WatchRequest.encode(request).finish(),
      {
        onMessage: (bytes) => this.#take(bytes),
        onEnd: (code) => again(code === "unreachable" ? UNREACHABLE_PAUSE_MS : PAUSE_MS),
        slownessMs,
      },
    );
  }

  /** The faults are over: a stream that is silent is left soon. */
  calm(): void {
    this.#isCalm = true;
  }

  /** True when it was told everything. */
  get isCurrent(): boolean {
    const { chronicle } = this.#world;
    return chronicle.nextIn(this.#load.span, this.#next, chronicle.revision) === undefined;
  }

  describe(): string {
    return `watch of ${this.#load.span.start} at ${this.#next} of ${this.#world.chronicle.revision}`;
  }

  #take(bytes: Uint8Array): void {
    const response = WatchResponse.decode(Buffer.from(bytes));
    if (response.compactRevision > 0) {
      this.#next = Math.max(this.#next, response.compactRevision);
      return;
    }
    if (response.canceled || response.created) return;
    const byRevision = Map.groupBy(response.events, ({ kv }) => kv?.modRevision ?? 0);
    for (const [revision, events] of byRevision) this.#takeRevision(revision, events);
    // A response without events tells how far the watcher is.
    if (response.events.length === 0) this.#takeProgress(response.header?.revision ?? 0);
  }

  #takeRevision(revision: number, events: readonly Event[]): void {
    const { chronicle } = this.#world;
    const { span } = this.#load;
    if (revision < this.#next) {
      throw new Violation(
        "watch once",
        `revision ${revision} is told again or late, after ${this.#next - 1}`,
      );
    }
    const missed = chronicle.nextIn(span, this.#next, revision - 1);
    if (missed !== undefined) {
      throw new Violation("watch complete", `revision ${missed} is left out before ${revision}`);
    }
    const expected = chronicle.eventsOf(span, revision);
    const isWhole =
      expected.length === events.length &&
      events.every(
        (event, i) => Buffer.compare(Event.encode(event).finish(), expected[i] as Uint8Array) === 0,
      );
    if (!isWhole) {
      throw new Violation(
        "watch atomic",
        `revision ${revision} is told with ${events.length} events, it has ${expected.length} for ${span.start}`,
      );
    }
    this.#next = revision + 1;
    this.told += events.length;
  }

  #takeProgress(revision: number): void {
    const { chronicle } = this.#world;
    const missed = chronicle.nextIn(this.#load.span, this.#next, revision);
    if (missed !== undefined) {
      throw new Violation(
        "watch complete",
        `progress is told at ${revision}, and revision ${missed} was not`,
      );
    }
    this.#next = Math.max(this.#next, revision + 1);
  }
}
