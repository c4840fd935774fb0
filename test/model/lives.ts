import type { Random } from "../../base/random.ts";
import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import type { ManualClock } from "../support/manual-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { hold } from "../support/violation.ts";
import { AgentLife } from "./agent-life.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Content } from "./content.ts";
import type { Facts } from "./facts.ts";
import { noteMissed } from "./findable.ts";
import type { Looks } from "./looks.ts";
import type { ModelSink } from "./model-sink.ts";
import { pick } from "./plan.ts";
import { checkWritten } from "./written-accounts.ts";

const TOPICS = ["t", "u"];

export interface LivesOptions {
  readonly facts: Facts;
  readonly looks: Looks;
  readonly arrivals: Arrivals;
  readonly sink: ModelSink;
  readonly clock: ManualClock;
  readonly random: Random;
}

/** One agent after another, on one disk: how each begins and ends, and what one knows of what those before it did. */
export class Lives {
  /** The agent that lives. */
  current: AgentLife | undefined;
  readonly #options: LivesOptions;
  readonly #facts: Facts;
  readonly #disk = new MemoryDisk();
  #topic = 0;
  /** The entry is new to the agent that lives, and begins at the ends of files. */
  #maySkip = false;
  #isDiskFull = false;
  /** Now, or since the agent that lives began. */
  #wasDiskFull = false;

  constructor(options: LivesOptions) {
    this.#options = options;
    this.#facts = options.facts;
    this.#disk.turn = async () => undefined;
  }

  /** An agent, if there is none, and its entry. */
  async start(): Promise<void> {
    const { plan, world } = this.#facts;
    this.current ??= await this.#begin();
    const { checkpoints, disk, source } = this.current;
    const path = world.path(plan.glob);
    if (source === undefined) {
      this.#options.arrivals.begin(checkpoints.records());
      this.#maySkip = plan.from === "end" && !checkpoints.wasApplied(path);
    }
    disk.isFull = this.#isDiskFull;
    this.current.addEntry({ path, topic: pick(TOPICS, this.#topic / TOPICS.length), from: plan.from });
  }

  /** All is written before it ends. */
  async stop(): Promise<void> {
    await this.#ends(async (life) => {
      await life.stop();
      this.current = undefined;
      this.#options.sink.forget();
    });
  }

  async die(): Promise<void> {
    await this.#ends(async (life) => {
      await life.die();
      this.current = undefined;
    });
  }

  /** Its machine goes down with it when `losesUnsynced`. */
  async crash({ losesUnsynced }: { readonly losesUnsynced: boolean }): Promise<void> {
    const { random, sink, arrivals } = this.#options;
    await this.die();
    if (losesUnsynced) this.#disk.crash({ random });
    for (const parcel of sink.forget()) {
      // Perhaps it arrived, and only its acknowledgement did not.
      if (random.next() < 0.5) arrivals.settles(parcel);
    }
  }

  /** The agent goes on without it. */
  async removeEntry({ settles }: { readonly settles: boolean }): Promise<void> {
    if (settles) this.#options.sink.settleAll();
    await this.#ends((life) => life.removeEntry());
  }

  async changeTopic(options: { readonly settles: boolean }): Promise<void> {
    await this.removeEntry(options);
    this.#topic = 1 - this.#topic;
    await this.start();
  }

  fillDisk(isFull: boolean): void {
    this.#isDiskFull = isFull;
    this.#wasDiskFull ||= isFull;
    if (this.current !== undefined) this.current.disk.isFull = isFull;
  }

  noteMissed(): void {
    noteMissed(this.#facts, this.current?.checkpoints.records());
  }

  checkWritten(): Promise<void> {
    return checkWritten(this.#disk.forProcess(), `${this.#facts.world.folder}.c`);
  }

  async #ends(end: (life: AgentLife) => Promise<void>): Promise<void> {
    this.#facts.isEnding = true;
    if (this.current !== undefined) await end(this.current);
    this.#facts.isEnding = false;
    this.noteMissed();
  }

  async #begin(): Promise<AgentLife> {
    const { facts, looks, sink, clock, random } = this.#options;
    const { plan, world } = facts;
    const life = await AgentLife.begin({
      disk: this.#disk.forProcess(),
      clock,
      random,
      sink,
      logs: world.folder,
      chunkPoolBytes: plan.chunkPoolBytes,
      openFilesMax: plan.openFilesMax,
      fsCalls: () => looks.calls,
      logger: facts.logger(() => facts.isEnding && this.current?.disk.isDead === true),
    });
    const { checkpoints } = life;
    const mint = checkpoints.mint.bind(checkpoints);
    checkpoints.mint = (fields) => {
      const record = mint(fields);
      this.#minted(record);
      return record;
    };
    const remove = checkpoints.remove.bind(checkpoints);
    checkpoints.remove = (record) => {
      remove(record);
      // Of an empty file that nothing tells from another one: whoever looks at it next knows nothing of it.
      if (record.seen === 0 && record.birthtimeNs === 0n) facts.knownIds.delete(record.id);
    };
    this.#remembers([...checkpoints.records()]);
    return life;
  }

  #minted({ id, ino, path, offset }: CheckpointRecord): void {
    const { world, ids, knownIds, history } = this.#facts;
    const inode = world.inodes.find((one) => one.ino === ino);
    hold("an id is minted for a file", inode !== undefined, () => `${path} ${ino}`);
    ids.minted(id, inode.content);
    if (offset > 0) this.#skipped(inode.content, offset);
    knownIds.add(id);
    history.push(`  ${id} is minted for ${inode.content}`);
  }

  /** It is read from `offset` on: it was there before the entry. */
  #skipped(content: Content, offset: number): void {
    hold("only what was there before the entry is skipped", this.#maySkip, () => `${content} to ${offset}`);
    content.noteSent(0, offset);
    content.noteSettled(0, offset);
  }

  /** An agent begins, and this is all that it knows. */
  #remembers(records: readonly CheckpointRecord[]): void {
    const { world, ids } = this.#facts;
    // What is not on disk because that was full comes again under another id.
    if (this.#wasDiskFull) ids.endOthers(records.filter(tells).map(({ id }) => id));
    this.#wasDiskFull = this.#isDiskFull;
    this.#facts.knownIds = new Set(records.map(({ id }) => id));
    for (const record of records) {
      const { id, ino, birthtimeNs, seen, furthest } = record;
      ids.forget(id, furthest?.to ?? 0);
      const file = world.inodes.find((inode) => inode.ino === ino && inode.birthNs === birthtimeNs);
      const isShorter = file !== undefined && file.content.size < seen;
      if (isShorter && record.isUnsure === true) ids.end(id);
    }
    for (const content of world.contents) {
      // What is known of a copy says nothing of the file that it was copied from.
      const known = records.filter(
        (record) => this.#facts.isAbout(record, content) && (record.isPacked || isOfFile(record, content)),
      );
      content.seen = Math.min(content.seen, Math.max(0, ...known.map((record) => record.seen)));
    }
    noteMissed(this.#facts, records);
  }
}

/** Was it made for the file of a content, as the agent tells files apart? */
function isOfFile({ ino, birthtimeNs }: CheckpointRecord, { inode }: Content): boolean {
  return ino === inode.ino && birthtimeNs === inode.birthNs;
}

/** Does a record say by what its file would be known again, whatever becomes of it? */
function tells({ fingerprint }: CheckpointRecord): boolean {
  return fingerprint.length > 0;
}
