import { Event } from "../../store/proto/gen/kv.ts";
import { WatchRequest, WatchResponse } from "../../store/proto/gen/rpc.ts";
import { Violation } from "../support/violation.ts";
import type { OpenStream } from "./caller.ts";
import type { Span } from "./chronicle.ts";
import { type ClientWorld, MemberChoice } from "./clients.ts";
import type { Timer } from "./timeline.ts";

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
  /** How often it is away for about as long before it goes on. */
  readonly absenceRate: number;
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
  /** The newest revision that it has heard of, which the history may not have yet. */
  #received = 0;
  #stream: OpenStream | undefined;
  #attempt = 0;
  /** Between two streams. */
  #absence: { readonly timer: Timer; readonly goOn: () => void } | undefined;
  #isCalm = false;
  told = 0;
  /** Times that what it wanted next was compacted. */
  compactions = 0;

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
      const isAway = !this.#isCalm && chance.hits(this.#load.absenceRate);
      const goOn = () => {
        this.#absence = undefined;
        this.start();
      };
      const timer = caller.process.after(chance.longTail(isAway ? stayMs : pauseMs), goOn);
      this.#absence = { timer, goOn };
    };
    const request = WatchRequest.fromPartial({
      requestUnion: {
        $case: "createRequest",
        value: {
          key: Buffer.from(span.start, "latin1"),
          rangeEnd: Buffer.from(span.end ?? "", "latin1"),
          startRevision: Math.max(this.#next, this.#received + 1),
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
        onMessage: (bytes) => {
          const { isCanceled } = this.#take(bytes);
          if (isCanceled) again(PAUSE_MS);
        },
        onEnd: (code) => again(code === "unreachable" ? UNREACHABLE_PAUSE_MS : PAUSE_MS),
        slownessMs,
      },
    );
  }

  /** The faults are over: a stream that is silent is left soon. */
  calm(): void {
    this.#isCalm = true;
    if (this.#absence === undefined) return;
    this.#world.caller.process.cancel(this.#absence.timer);
    this.#absence.goOn();
  }

  /** True when it was told everything. */
  get isCurrent(): boolean {
    const { chronicle } = this.#world;
    return chronicle.nextIn(this.#load.span, this.#next, chronicle.revision) === undefined;
  }

  describe(): string {
    return `watch of ${this.#load.span.start} at ${this.#next} of ${this.#world.chronicle.revision}`;
  }

  #take(bytes: Uint8Array): { readonly isCanceled: boolean } {
    const response = WatchResponse.decode(Buffer.from(bytes));
    const { created, canceled: isCanceled } = response;
    if (created) return { isCanceled };
    const told = response.events.map(({ kv }) => kv?.modRevision ?? 0);
    this.#received = Math.max(this.#received, ...told);
    this.#world.chronicle.whenTold(this.#received, () => this.#hold(response));
    return { isCanceled };
  }

  /** Holds what it was told to the history. */
  #hold(response: WatchResponse): void {
    if (response.compactRevision > 0) this.#takeCompacted(response.compactRevision);
    if (response.canceled) return;
    const byRevision = Map.groupBy(response.events, ({ kv }) => kv?.modRevision ?? 0);
    for (const [revision, events] of byRevision) this.#takeRevision(revision, events);
    // A response without events tells how far the watcher is.
    if (response.events.length === 0) this.#takeProgress(response.header?.revision ?? 0);
  }

  #takeCompacted(revision: number): void {
    if (revision <= this.#next) {
      throw new Violation(
        "watch complete",
        `what is below ${revision} is compacted, and a watch that goes on from ${this.#next} is refused`,
      );
    }
    this.#next = revision;
    this.compactions += 1;
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
