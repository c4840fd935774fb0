import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import { hold } from "../support/violation.ts";
import type { Content } from "./content.ts";
import type { Facts } from "./facts.ts";
import type { Parcel, SinkWatcher } from "./model-sink.ts";

/** One arrival, for the order of arrivals. */
export interface Arrival {
  readonly life: number;
  readonly path: string;
  readonly content: Content | undefined;
  readonly from: number;
}

/** What comes to the destination, and what becomes of it: whose bytes they are, and whether they may come now. */
export class Arrivals implements SinkWatcher {
  readonly all: Arrival[] = [];
  readonly #facts: Facts;
  /** By where a delivery of the file ends. */
  readonly #holdersOf = new Map<Parcel["file"], Map<number, readonly Content[]>>();
  /** Of the source: what was sent in an earlier one may come again. */
  #lives = 0;
  /** By file id: what no later life may send again. */
  #durable = new Map<string, number>();
  /** By file id, in this life: what was sent last ends here. */
  #sentTo = new Map<string, number>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** A source begins, with these checkpoints. */
  begin(records: Iterable<CheckpointRecord>): void {
    this.#lives += 1;
    this.#durable = new Map([...records].map(({ id, offset }) => [id, offset]));
    this.#sentTo = new Map();
  }

  delivered(parcel: Parcel, bytes: Buffer): void {
    this.#facts.watch(() => this.#delivered(parcel, bytes));
  }

  #delivered(parcel: Parcel, bytes: Buffer): void {
    const { plan, world, ids, history } = this.#facts;
    const { file, from, to } = parcel;
    const where = `${file.id}:${from}`;
    const sentTo = this.#sentTo.get(file.id) ?? 0;
    hold("order holds in a file", from >= sentTo, () => `${where} comes after ${sentTo}`);
    this.#sentTo.set(file.id, to);
    const durable = this.#durable.get(file.id) ?? 0;
    hold("nothing durable is sent again", from >= durable, () => `${where}, but ${durable} is durable`);
    const isClockSteady = !plan.ops.some(({ kind }) => kind === "jump clock");
    const holders = ids.sent(file.id, from, bytes, { contents: world.contents, isClockSteady });
    for (const content of world.contents) content.noteSent(from, from + content.sharedBytes(bytes, from));
    if (!plan.hasBirthTimes) this.#noteTakenFor(parcel.file.id, holders);
    const byEnd = this.#holdersOf.get(file) ?? new Map<number, readonly Content[]>();
    this.#holdersOf.set(file, byEnd.set(to, holders));
    const [content] = holders;
    this.all.push({
      life: this.#lives,
      path: file.path,
      content: holders.length === 1 ? content : undefined,
      from,
    });
    history.push(`    ${where} to ${to} ${file.path} ${JSON.stringify(bytes.subarray(0, 50).toString())}`);
  }

  settles(parcel: Parcel): void {
    const { world, ids, history } = this.#facts;
    const { from } = parcel;
    const bytes = this.bytesOf(parcel);
    const holders = this.#holders(parcel);
    // By an inode that was used again and the bytes that were seen, the id may be a later content's as well.
    const ofId = ids.contentsOf(parcel.file.id, world.contents);
    for (const content of world.contents) {
      if (content.inode === holders[0]?.inode || holders.includes(content) || ofId.includes(content)) {
        content.noteSettled(from, from + content.sharedBytes(bytes, from));
      }
    }
    history.push(`    settled ${parcel.file.id}:${parcel.from} to ${parcel.to}`);
  }

  bytesOf(parcel: Parcel): Buffer {
    const [content] = this.#holders(parcel);
    return Buffer.from(content?.bytes.subarray(parcel.from, parcel.to) ?? []);
  }

  /**
   * Without births a file that has the number of another, and begins with all that was sent of that one, is taken for it:
   * what became of those bytes has become of these.
   */
  #noteTakenFor(id: string, holders: readonly Content[]): void {
    const before = this.#facts.ids.contentsOf(id, this.#facts.world.contents);
    for (const content of holders) {
      for (const other of before) {
        const shared = content.sharedBytes(other.bytes, 0);
        for (const { from, to } of other.sent.ranges) content.noteSent(from, Math.min(to, shared));
        for (const { from, to } of other.settled.ranges) content.noteSettled(from, Math.min(to, shared));
      }
    }
  }

  /** Of the delivery that it is, or is a part of. */
  #holders({ file, to }: Parcel): readonly Content[] {
    const byEnd = this.#holdersOf.get(file) ?? new Map<number, readonly Content[]>();
    const ends = [...byEnd.keys()].filter((end) => end >= to);
    return byEnd.get(Math.min(...ends)) ?? [];
  }
}
