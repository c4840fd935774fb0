import assert from "node:assert/strict";
import type { Random } from "../../../../base/random.ts";
import type { DeliveryError, ProducerStamp } from "../../../../logagent/sink/destination.ts";
import { NO_PRODUCER } from "../../../../logagent/sink/kafka/batch-header.ts";
import { connectionError, protocolError } from "../../../../logagent/sink/kafka/kafka-errors.ts";
import { SENT_MAX, SendWindow, type Step } from "../../../../logagent/sink/send-window.ts";
import { NONE, SequenceLog } from "./sequence-log.ts";

type Lines = readonly number[];

interface Request {
  readonly attempt: number;
  readonly node: number;
  readonly partition: number;
  readonly stamp: ProducerStamp;
  readonly lines: Lines;
  /** Code of the answer, once there is one. */
  code?: number;
}

const NODES = 3;
const UNKNOWN_TOPIC_OR_PARTITION = 3;
const NOT_LEADER = 6;
const REQUEST_TIMED_OUT = 7;
const MESSAGE_TOO_LARGE = 10;
const NOT_ENOUGH_REPLICAS = 19;
const NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20;
/** Every such line is larger than the topic takes, while it takes little. */
const HUGE_EVERY = 17;

/** What has happened that excuses something; documented in docs/operations.md. */
export interface Excuses {
  /** A repeat of lines is allowed. */
  mayRepeat: boolean;
  /** The brokers lost lines that they had confirmed. */
  mayLoseSettled: boolean;
  /** Lines may come before others that were first. */
  mayReorder: boolean;
}

/**
 * A window, a source that fills it, a network that loses, and brokers that fail: one partition's life from a seed. The network
 * keeps order within a connection; what was on a connection that broke may reach its broker at any later time.
 */
export class WindowWorld {
  readonly excuses: Excuses = { mayRepeat: false, mayLoseSettled: false, mayReorder: false };
  readonly window: SendWindow<Lines>;
  readonly #random: Random;
  readonly #isOld: boolean;
  #nowMs = 0;
  #log: SequenceLog<number>;
  #leader = 0;
  #believedLeader = 0;
  /** Batches that all in-sync replicas have. */
  #replicated = 0;
  /** Written and not answered, in order. */
  #wire: Request[] = [];
  /** Left behind on broken connections, in order within each. */
  #ghosts: Request[][] = [];
  #nextLine = 0;
  #nextProducer = 1n;
  #linesMax = Number.POSITIVE_INFINITY;
  #partition = 0;
  #isDeleted = false;
  #heardOfDeletion = false;
  readonly #wasCut = new Set<Lines>();
  readonly settled = new Set<number>();
  readonly dropped = new Set<number>();
  /** Lines of topics that were deleted. */
  readonly #deleted: number[] = [];
  faults = 0;

  constructor(random: Random, options: { readonly isNumbered: boolean; readonly isOld: boolean }) {
    this.#random = random;
    this.#isOld = options.isOld;
    this.#log = new SequenceLog({ isOld: options.isOld });
    this.window = new SendWindow({ isNumbered: options.isNumbered });
    if (!options.isNumbered) this.excuses.mayRepeat = true;
  }

  /** One random thing happens. */
  step(): void {
    const dice = this.#random.next();
    if (dice < 0.2) this.#add();
    else if (dice < 0.55) this.#client();
    else if (dice < 0.72) this.#broker();
    else if (dice < 0.86) this.#answer();
    else if (dice < 0.9) this.#nowMs += this.#random.next() * 2_000;
    else this.#fault();
  }

  /** From here on nothing fails; everything must become settled. */
  finish(): void {
    this.#linesMax = Number.POSITIVE_INFINITY;
    for (let i = 0; this.window.size > 0; i++) {
      assert.ok(i < 10_000, `${this.window.size} batches are settled in the end`);
      while (this.#client()) this.#check();
      while (this.#wire.some(({ code }) => code === undefined)) this.#broker(true);
      while (this.#wire.length > 0) this.#answer();
      this.#createTopic();
      this.#nowMs += 60_000;
    }
    while (this.#ghosts.length > 0) this.#haunt();
  }

  /** Holds what arrived against what was sent. */
  assertTrue(): void {
    const arrived = [...this.#deleted, ...this.#log.lines];
    const seen = new Set<number>();
    let highest = -1;
    for (const line of arrived) {
      // Given up, and here all the same: an earlier attempt was on a connection that broke.
      if (this.dropped.has(line)) continue;
      if (seen.has(line)) assert.ok(this.excuses.mayRepeat, `line ${line} arrives once`);
      else if (!this.excuses.mayReorder)
        assert.ok(line > highest, `line ${line} arrives before line ${highest}`);
      seen.add(line);
      highest = Math.max(highest, line);
    }
    for (let line = 0; line < this.#nextLine; line++) {
      if (this.dropped.has(line)) continue;
      assert.ok(this.settled.has(line), `line ${line} is settled`);
      if (!seen.has(line)) assert.ok(this.excuses.mayLoseSettled, `line ${line} arrives`);
    }
  }

  #pick(count: number): number {
    return Math.floor(this.#random.next() * count);
  }

  #add(): void {
    const lines = Array.from({ length: 1 + this.#pick(4) }, () => this.#nextLine++);
    this.window.add(lines, lines.length);
  }

  get #now() {
    return { nowMs: this.#nowMs, random: this.#random };
  }

  /** The client does what the window says; false when it waits. */
  #client(): boolean {
    const step = this.window.next({ nowMs: this.#nowMs, partition: this.#partition });
    switch (step.kind) {
      case "send":
        this.#send(step);
        return true;
      case "identify":
        if (this.#random.next() < 0.2) this.window.held(protocolError(7, "no id"), this.#now);
        else this.window.identified({ producerId: this.#newId(step.isFresh), epoch: 0 });
        return true;
      case "cut":
        this.#cut(step.batch);
        return true;
      case "wait":
        return false;
      default:
        return step satisfies never;
    }
  }

  #newId(isFresh: boolean): bigint {
    return isFresh ? ++this.#nextProducer : 1n;
  }

  #send({ batch, attempt, partition, stamp = NO_PRODUCER }: Extract<Step<Lines>, { kind: "send" }>): void {
    this.#wire.push({ attempt, node: this.#believedLeader, partition, stamp, lines: batch });
    assert.ok(this.#wire.length <= SENT_MAX, `${this.#wire.length} batches are on their way`);
  }

  #cut(batch: Lines): void {
    const half = batch.length >>> 1;
    this.#wasCut.add(batch);
    if (this.#log.lines.includes(batch[0] ?? -1)) this.excuses.mayRepeat = true;
    if (half === 0) {
      for (const line of batch) this.dropped.add(line);
      this.window.dropFirst();
      return;
    }
    const parts = [batch.slice(0, half), batch.slice(half)];
    this.window.replaceFirst(parts.map((lines) => ({ batch: lines, lines: lines.length })));
  }

  /** A broker takes the next request of the connection. */
  #broker(isCalm = false): void {
    const request = this.#wire.find(({ code }) => code === undefined);
    if (request === undefined) return;
    request.code = this.#handle(request, isCalm);
  }

  #handle(request: Request, isCalm: boolean): number {
    if (this.#isDeleted || request.partition !== this.#partition) return UNKNOWN_TOPIC_OR_PARTITION;
    if (request.node !== this.#leader) return NOT_LEADER;
    const isHuge = request.lines.some((line) => line % HUGE_EVERY === 0);
    if (request.lines.length > this.#linesMax || (isHuge && this.#linesMax === 1)) {
      // Appended before, its answer lost, and refused for its size since: its parts are not known for repeats.
      if (this.#log.lines.includes(request.lines[0] ?? -1)) this.excuses.mayRepeat = true;
      return MESSAGE_TOO_LARGE;
    }
    const dice = isCalm ? 1 : this.#random.next();
    if (dice < 0.03) return NOT_ENOUGH_REPLICAS;
    // Of a batch that was cut since, an attempt is taken whole: its parts are not known for repeats.
    if (this.#wasCut.has(request.lines)) this.excuses.mayRepeat = true;
    const code = this.#log.append(request.stamp, request.lines);
    if (code !== NONE) return code;
    if (dice < 0.06) return REQUEST_TIMED_OUT;
    if (dice < 0.08) return NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    this.#replicated = this.#log.batches;
    return NONE;
  }

  /** The next answer of the connection arrives. */
  #answer(): void {
    const [request] = this.#wire;
    if (request?.code === undefined) return;
    this.#wire.shift();
    this.#tell(request, request.code === NONE ? undefined : protocolError(request.code, "refused"));
    if (request.code === UNKNOWN_TOPIC_OR_PARTITION) this.#heardOfDeletion = true;
    if (request.code === NOT_LEADER) this.#believedLeader = this.#leader;
  }

  #tell(request: Request, error: DeliveryError | undefined): void {
    const { settled } = this.window.answered(request.attempt, error, this.#now);
    for (const line of settled.flat()) {
      assert.ok(!this.settled.has(line), `line ${line} is settled once`);
      this.settled.add(line);
    }
    this.#check();
  }

  /** Settled means durable at that moment. */
  #check(): void {
    const there = new Set([...this.#deleted, ...this.#log.prefix(this.#replicated).lines]);
    for (const line of this.settled) {
      if (!there.has(line)) assert.ok(this.excuses.mayLoseSettled, `line ${line} is settled and durable`);
    }
  }

  #fault(): void {
    this.faults += 1;
    const dice = this.#random.next();
    if (dice < 0.3) this.#cutConnection();
    else if (dice < 0.5) this.#haunt();
    else if (dice < 0.7) this.#moveLeader(this.#replicated);
    else if (dice < 0.75) this.#linesMax = [1, 2, Number.POSITIVE_INFINITY][this.#pick(3)] as number;
    else if (dice < 0.8) this.#believedLeader = this.#leader;
    else if (dice < 0.84) this.#rare();
    else this.#createTopic();
  }

  /** What is documented to cost something. */
  #rare(): void {
    const kind = this.#pick(4);
    if (kind === 0) this.#forgetProducers();
    else if (kind === 1) this.#fenceProducers();
    else if (kind === 2) this.#electUncleanly();
    else this.#deleteTopic();
  }

  /** Expiry takes a producer that had nothing to send for a day: nothing of it is under way. */
  #forgetProducers(): void {
    if (this.window.size > 0 || this.#ghosts.length > 0) return;
    this.#log.forgetProducers();
    this.excuses.mayRepeat = true;
  }

  #fenceProducers(): void {
    this.#log.fenceProducers();
    this.excuses.mayRepeat = true;
  }

  /** What was confirmed is gone, and may even come back, late, from a connection that broke. */
  #electUncleanly(): void {
    this.excuses.mayLoseSettled = true;
    this.excuses.mayRepeat = true;
    this.excuses.mayReorder = true;
    this.#moveLeader(this.#pick(this.#replicated + 1));
  }

  #cutConnection(): void {
    const broken = this.#wire;
    this.#wire = [];
    this.#ghosts.push(broken.filter(({ code }) => code === undefined));
    for (const request of broken) this.#tell(request, connectionError("cut", new Error("ECONNRESET")));
  }

  /** Something that was on a broken connection reaches its broker after all. */
  #haunt(): void {
    const ghosts = this.#ghosts[this.#pick(this.#ghosts.length)];
    const request = ghosts?.shift();
    if (request !== undefined) this.#handle(request, true);
    this.#ghosts = this.#ghosts.filter((left) => left.length > 0);
  }

  /** A follower that has `kept` batches or more takes over. */
  #moveLeader(kept: number): void {
    const has = kept + this.#pick(this.#log.batches - kept + 1);
    this.#log = this.#log.prefix(has);
    this.#replicated = Math.min(has, this.#log.batches);
    this.#leader = (this.#leader + 1 + this.#pick(NODES - 1)) % NODES;
    this.#check();
  }

  #deleteTopic(): void {
    this.#isDeleted = true;
    this.#heardOfDeletion = false;
    this.#deleted.push(...this.#log.lines);
    this.#log = new SequenceLog({ isOld: this.#isOld });
    this.#replicated = 0;
    // Lines that were appended, and whose answer is lost, are sent to the next topic too.
    this.excuses.mayRepeat = true;
  }

  /** Not within a round trip: what was on its way to the old topic is not taken by the new one. */
  #createTopic(): void {
    const isNoticed = this.#heardOfDeletion || this.window.size === 0;
    if (!this.#isDeleted || !isNoticed || this.#wire.length > 0) return;
    this.#isDeleted = false;
    this.#ghosts = [];
    if (this.#random.next() < 0.5) this.#partition += 1;
  }
}
