import type { BigIntStats, Stats } from "node:fs";
import { pino } from "pino";
import { seededRandom } from "../../base/random.ts";
import type { LossRecord } from "../../logagent/checkpoint/loss.ts";
import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import { isTellable } from "../../logagent/source/compressed-file.ts";
import { compileGlob, matchesAny } from "../../logagent/source/glob.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { hold } from "../support/violation.ts";
import { AgentLife } from "./agent-life.ts";
import type { Content } from "./content.ts";
import { FILE_OPERATIONS } from "./file-operations.ts";
import { IdBook } from "./id-book.ts";
import type { Inode } from "./inode.ts";
import { checkEnd, checkOrderOfLanes, checkSums } from "./laws.ts";
import { ModelSink, type Parcel, type SinkWatcher } from "./model-sink.ts";
import { ENOUGH, type Op, type OpKind, type Plan, pick } from "./plan.ts";
import { type FsWatcher, real, watchFs } from "./watched-fs.ts";
import { folderOf, World } from "./world.ts";
import { checkWritten } from "./written-accounts.ts";

const STEPS_MS = [1, 50, 250, 500, 1000, 2500];
const TOPICS = ["t", "u"];
/** At the end: so many steps in which nothing arrives. */
const QUIET_STEPS = 13;
/** Where few files may be open: each that was rotated takes a few steps in which nothing arrives, before the next is opened. */
const QUIET_STEPS_OF_TURNS = 40;
const END_STEPS_MAX = 400;
const OPERATIONS_OF_A_WRITE = 12;
/** A step during which something happens has it at one of so many first calls about files. */
const CALLS_OF_A_STEP = 30;
const JUMP_MS = 3 * 3600 * 1000;
/** What may happen while the agent looks. */
const AMID: readonly OpKind[] = [
  "append",
  "append part",
  "rotate",
  "rotate chain",
  "copytruncate",
  "truncate",
  "shorten",
  "rewrite larger",
  "rewrite same head",
  "delete",
  "delete and create",
  "create",
  "switch link",
];

/** One arrival, for the order of arrivals. */
export interface Arrival {
  readonly life: number;
  readonly path: string;
  readonly content: Content | undefined;
  readonly from: number;
}

/** A plan as it happens: the files, the agent, its destination, and what each of them is known to have done. */
export class Sequence implements FsWatcher, SinkWatcher {
  readonly history: string[] = [];
  readonly world: World;
  readonly ids = new IdBook();
  readonly lossRecords: LossRecord[] = [];
  readonly arrivals: Arrival[] = [];
  readonly plan: Plan;
  readonly #clock = new ManualClock();
  readonly #disk = new MemoryDisk();
  readonly #sink = new ModelSink(this);
  readonly #random;
  readonly #globs;
  readonly #fds = new Map<number, Inode>();
  /** Open since before the last poll. */
  #heldFds = new Set<number>();
  readonly #holdersOf = new Map<Parcel["file"], Map<string, readonly Content[]>>();
  #life: AgentLife | undefined;
  /** Of the source: what was sent in an earlier one may come again. */
  #lives = 0;
  #violation: unknown;
  #isDying = false;
  #topic = 0;
  /** The entry is new to the agent that lives, and begins at the ends of files. */
  #maySkip = false;
  #isDiskFull = false;
  /** Now, or since the agent that lives began. */
  #wasDiskFull = false;
  #fsCalls = 0;
  #amid: { calls: number; act: () => void } | undefined;
  /** By file id: what no later life may send again. */
  #durable = new Map<string, number>();
  /** The ids that the agent has, or had, in this life. */
  #known = new Set<string>();
  /** By file id, in this life: what was sent last ends here. */
  #sentTo = new Map<string, number>();

  constructor(plan: Plan, folder: string) {
    this.plan = plan;
    this.#random = seededRandom(plan.seed);
    this.#disk.turn = async () => undefined;
    const { tickMs, hasBirthTimes, lanes } = plan;
    this.world = new World({ folder, wallMs: () => this.#clock.wallMs(), tickMs, hasBirthTimes, lanes });
    this.#globs = compileGlob(`${folder}/${plan.glob}`);
    watchFs(this);
  }

  get contents(): number {
    return this.world.contents.length;
  }

  get deliveries(): number {
    return this.#sink.deliveries;
  }

  get losses(): number {
    return this.lossRecords.length;
  }

  get sink(): ModelSink {
    return this.#sink;
  }

  matches(path: string): boolean {
    return matchesAny(this.#globs, path);
  }

  async run(): Promise<void> {
    const { glob, tickMs, hasBirthTimes, ops } = this.plan;
    this.history.push(`${glob}, ticks of ${tickMs} ms, ${hasBirthTimes ? "" : "no "}birth times`);
    await this.#start();
    for (const op of ops) {
      this.history.push(op.kind);
      await this.#apply(op);
      this.#noteMissed();
      this.#checkAccount();
      if (this.#life === undefined) await this.#checkWritten();
    }
    await this.#finish();
    await this.#checkWritten();
    checkOrderOfLanes(this);
    checkEnd(this);
  }

  async close(): Promise<void> {
    this.#amid = undefined;
    await this.#die();
    watchFs(undefined);
    this.world.close();
  }

  // What happens.

  async #apply(op: Op): Promise<void> {
    const act = FILE_OPERATIONS[op.kind];
    if (act !== undefined) return act(this.world, op);
    const sink = this.#sink;
    const index = Math.floor(op.a * sink.parcels.length);
    switch (op.kind) {
      case "step":
        return this.#step(pick(STEPS_MS, op.a));
      case "step amid":
        return this.#stepAmid(op);
      case "crash":
        return this.#crash(op);
      case "crash while writing":
        return this.#crashWhileWriting(op);
      case "stop":
        return this.#stop();
      case "start":
        return this.#start();
      case "remove entry":
        return this.#removeEntry(op.a < 0.5);
      case "change topic":
        await this.#removeEntry(op.a < 0.5);
        this.#topic = 1 - this.#topic;
        return this.#start();
      case "fill disk":
      case "free disk":
        return this.#fillDisk(op.kind === "fill disk");
      case "jump clock":
        this.#clock.wallOffsetMs += Math.floor((op.a - 0.5) * JUMP_MS);
        return;
      case "ack one":
        return sink.settle(index, {
          bytes: (parcel) => this.#bytesOf(parcel),
          ...(op.b < 0.3 && { part: op.c }),
        });
      case "ack all":
        return sink.settleAll();
      case "reject":
        return sink.reject(index);
      case "close topic":
        return sink.close();
      case "open topic":
        return sink.open();
      default:
        throw new Error(`no operation ${op.kind}`);
    }
  }

  #fillDisk(isFull: boolean): void {
    this.#isDiskFull = isFull;
    this.#wasDiskFull ||= isFull;
    if (this.#life !== undefined) this.#life.disk.isFull = isFull;
  }

  async #start(): Promise<void> {
    this.#life ??= await this.#begin();
    const path = this.world.path(this.plan.glob);
    if (this.#life.source === undefined) {
      this.#lives += 1;
      this.#noteDurable(this.#life);
      this.#maySkip = this.plan.from === "end" && !this.#life.checkpoints.wasApplied(path);
    }
    this.#life.disk.isFull = this.#isDiskFull;
    this.#life.addEntry({ path, topic: pick(TOPICS, this.#topic / TOPICS.length), from: this.plan.from });
  }

  async #begin(): Promise<AgentLife> {
    const life = await AgentLife.begin({
      disk: this.#disk.forProcess(),
      clock: this.#clock,
      random: this.#random,
      sink: this.#sink,
      logs: this.world.folder,
      chunkPoolBytes: this.plan.chunkPoolBytes,
      openFilesMax: this.plan.openFilesMax,
      fsCalls: () => this.#fsCalls,
      logger: pino({ base: null }, { write: (line) => this.#said(line) }),
    });
    const { checkpoints } = life;
    const mint = checkpoints.mint.bind(checkpoints);
    checkpoints.mint = (fields) => {
      const record = mint(fields);
      const inode = this.world.inodes.find(({ ino }) => ino === fields.ino);
      hold("an id is minted for a file", inode !== undefined, () => `${fields.path} ${fields.ino}`);
      this.ids.minted(record.id, inode.content);
      if (record.offset > 0) this.#skipped(inode.content, record.offset);
      this.#known.add(record.id);
      this.history.push(`  ${record.id} is minted for ${inode.content}`);
      return record;
    };
    const records = [...checkpoints.records()];
    // What is not on disk because that was full comes again under another id.
    if (this.#wasDiskFull) this.ids.endOthers(records.filter(tells).map(({ id }) => id));
    this.#wasDiskFull = this.#isDiskFull;
    this.#known = new Set(records.map(({ id }) => id));
    for (const record of records) {
      const { id, ino, birthtimeNs, seen, furthest } = record;
      this.ids.forget(id, furthest?.to ?? 0);
      const file = this.world.inodes.find((inode) => inode.ino === ino && inode.birthNs === birthtimeNs);
      const isShorter = file !== undefined && file.content.size < seen;
      if (isShorter && checkpoints.isUnsure(record)) this.ids.end(id);
    }
    for (const content of this.world.contents) this.#forgetUnknown(content, records);
    this.#noteMissed(records);
    return life;
  }

  /** It is read from `offset` on: it was there before the entry. */
  #skipped(content: Content, offset: number): void {
    hold("only what was there before the entry is skipped", this.#maySkip, () => `${content} to ${offset}`);
    content.noteSent(0, offset);
    content.noteSettled(0, offset);
  }

  /** What is not in the checkpoints the agent does not know that it has seen. */
  #forgetUnknown(content: Content, records: readonly CheckpointRecord[]): void {
    const known = records.filter((record) => this.#isAbout(record, content));
    content.seen = Math.min(content.seen, Math.max(0, ...known.map((record) => record.seen)));
  }

  #isAbout({ id, fingerprint }: CheckpointRecord, content: Content): boolean {
    if (!this.ids.ownersOf(id, this.world.contents).includes(content)) return false;
    if (fingerprint.length === 0) return content.inode.content === content;
    return content.beginsWith(fingerprint);
  }

  async #step(ms: number): Promise<void> {
    const before = this.#sink.deliveries;
    this.#clock.advance(ms);
    await this.#life?.poll();
    this.#heldFds = new Set(this.#fds.keys());
    const { openFilesMax } = this.plan;
    // A process that died amid a scan has open what that was about to close.
    const isWithin = this.#fds.size <= openFilesMax || this.#life?.disk.isDead === true;
    hold("no more files are open than may be", isWithin, () => `${this.#fds.size} of ${openFilesMax}`);
    this.history.push(`  ${ms} ms, ${this.#sink.deliveries - before} deliveries`);
  }

  async #stepAmid(op: Op): Promise<void> {
    const kind = pick(AMID, op.a);
    const act = () => {
      this.history.push(`  amid: ${kind}`);
      FILE_OPERATIONS[kind]?.(this.world, {
        kind,
        a: op.c,
        b: op.a * 7919 - Math.floor(op.a * 7919),
        c: op.b,
      });
      for (const { content, seen, isCut } of before) if (content.isCut && !isCut) cutAmid(content, seen);
      this.#noteMissed();
    };
    const before = this.world.contents.map((content) => ({
      content,
      seen: content.seen,
      isCut: content.isCut,
    }));
    this.#amid = { calls: Math.floor(op.b * CALLS_OF_A_STEP), act };
    await this.#step(pick(STEPS_MS, op.c));
    this.#amid = undefined;
  }

  async #crash(op: Op): Promise<void> {
    await this.#die();
    if (op.b < 0.5) this.#disk.crash({ random: this.#random });
    for (const parcel of this.#sink.forget()) {
      // Perhaps it arrived, and only its acknowledgement did not.
      if (this.#random.next() < 0.5) this.settles(parcel);
    }
  }

  async #crashWhileWriting(op: Op): Promise<void> {
    this.#sink.settleAll();
    this.#life?.disk.dieAfter(1 + Math.floor(op.a * OPERATIONS_OF_A_WRITE));
    await this.#step(1000);
    await this.#crash(op);
  }

  async #die(): Promise<void> {
    this.#isDying = true;
    await this.#life?.die();
    this.#isDying = false;
    this.#life = undefined;
    this.#noteMissed();
  }

  async #stop(): Promise<void> {
    this.#isDying = true;
    await this.#life?.stop();
    this.#isDying = false;
    this.#life = undefined;
    this.#sink.forget();
    this.#noteMissed();
  }

  async #removeEntry(settles: boolean): Promise<void> {
    if (settles) this.#sink.settleAll();
    this.#isDying = true;
    await this.#life?.removeEntry();
    this.#isDying = false;
    this.#noteMissed();
  }

  /** Everything is well again, until nothing happens any more. */
  async #finish(): Promise<void> {
    this.history.push("finish");
    this.#fillDisk(false);
    await this.#start();
    this.#sink.open();
    let quiet = 0;
    const quietSteps = this.plan.openFilesMax < ENOUGH ? QUIET_STEPS_OF_TURNS : QUIET_STEPS;
    for (let steps = 0; quiet < quietSteps; steps += 1) {
      hold("the agent comes to rest", steps < END_STEPS_MAX, () => `${steps} steps`);
      const before = this.#sink.deliveries;
      await this.#step(1000);
      // Files give way to each other also now.
      if (this.plan.openFilesMax < ENOUGH) this.#noteMissed();
      this.#sink.settleAll();
      quiet = this.#sink.deliveries === before ? quiet + 1 : 0;
      this.#checkAccount();
    }
  }

  #said(line: string): void {
    const said = JSON.parse(line) as { msg: string; loss?: LossRecord };
    if (this.#isDying && this.#life?.disk.isDead) return;
    if (said.loss !== undefined) this.lossRecords.push(said.loss);
    const { level, time, msg, ...fields } = said as Record<string, unknown>;
    this.history.push(`    ${msg} ${JSON.stringify(fields)}`);
  }

  // What the agent does.

  beforeCall(): void {
    this.#fsCalls += 1;
    const amid = this.#amid;
    if (amid === undefined || --amid.calls >= 0) return;
    this.#amid = undefined;
    amid.act();
  }

  looked(stats: BigIntStats | Stats, path: string | undefined): void {
    if (path !== undefined && stats.isDirectory())
      Object.assign(stats, { mtimeNs: this.world.changedNs(path) });
    const inode = this.world.byRealIno(BigInt(stats.ino));
    if (inode === undefined) return;
    const { content } = inode;
    // A file that has no id yet is being opened, and a name alone binds to nothing.
    const isKnown = path === undefined ? this.ids.isMintedFor(content, this.#known) : content.seen > 0;
    if (isKnown) content.seen = Math.max(content.seen, Number(stats.size));
    show(stats, inode);
  }

  opened(fd: number): void {
    const inode = this.world.byRealIno(real.fstatSync(fd, { bigint: true }).ino);
    if (inode === undefined) return;
    this.#fds.set(fd, inode);
    inode.agentFds += 1;
  }

  closes(fd: number): void {
    const inode = this.#fds.get(fd);
    if (inode === undefined) return;
    this.#fds.delete(fd);
    inode.agentFds -= 1;
    const isLetGo = this.#heldFds.delete(fd) && inode.agentFds === 0;
    if (isLetGo && !this.#isDying) this.#watch(() => this.#checkLetGo(inode.content));
    this.world.forgetGone();
  }

  read(fd: number, position: number, bytes: number): void {
    const content = this.#fds.get(fd)?.content;
    if (content === undefined || bytes === 0) return;
    // What is held against others, to tell which of them it is, is nobody's yet.
    const isKnown = content.seen > 0 || this.ids.isMintedFor(content, this.#known);
    if (isKnown) content.seen = Math.max(content.seen, position + bytes);
  }

  delivered(parcel: Parcel, bytes: Buffer): void {
    this.#watch(() => this.#delivered(parcel, bytes));
  }

  /** The agent bears with what its parts throw. */
  #watch(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#violation ??= error;
      throw error;
    }
  }

  #delivered(parcel: Parcel, bytes: Buffer): void {
    const { file, from, to } = parcel;
    const where = `${file.id}:${from}`;
    const sentTo = this.#sentTo.get(file.id) ?? 0;
    hold("order holds in a file", from >= sentTo, () => `${where} comes after ${sentTo}`);
    this.#sentTo.set(file.id, to);
    const durable = this.#durable.get(file.id) ?? 0;
    hold("nothing durable is sent again", from >= durable, () => `${where}, but ${durable} is durable`);
    const isClockSteady = !this.plan.ops.some(({ kind }) => kind === "jump clock");
    const holders = this.ids.sent(file.id, from, bytes, { contents: this.world.contents, isClockSteady });
    for (const content of this.world.contents)
      content.noteSent(from, from + content.sharedBytes(bytes, from));
    if (!this.plan.hasBirthTimes) this.#noteTakenFor(parcel.file.id, holders);
    const byRange = this.#holdersOf.get(file) ?? new Map<string, readonly Content[]>();
    this.#holdersOf.set(file, byRange);
    byRange.set(`${to}`, holders);
    const [content] = holders;
    this.arrivals.push({
      life: this.#lives,
      path: file.path,
      content: holders.length === 1 ? content : undefined,
      from,
    });
    this.history.push(
      `    ${where} to ${to} ${file.path} ${JSON.stringify(bytes.subarray(0, 50).toString())}`,
    );
  }

  settles(parcel: Parcel): void {
    const { from } = parcel;
    const bytes = this.#bytesOf(parcel);
    const holders = this.#holders(parcel);
    // By an inode that was used again and the bytes that were seen, the id may be a later content's as well.
    const ofId = this.ids.contentsOf(parcel.file.id, this.world.contents);
    for (const content of this.world.contents) {
      if (content.inode === holders[0]?.inode || holders.includes(content) || ofId.includes(content)) {
        content.noteSettled(from, from + content.sharedBytes(bytes, from));
      }
    }
    this.history.push(`    settled ${parcel.file.id}:${parcel.from} to ${parcel.to}`);
  }

  /**
   * Without births a file that has the number of another, and begins with all that was sent of that one, is taken for it:
   * what became of those bytes has become of these.
   */
  #noteTakenFor(id: string, holders: readonly Content[]): void {
    const before = this.ids.contentsOf(id, this.world.contents);
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
    const byRange = this.#holdersOf.get(file) ?? new Map<string, readonly Content[]>();
    const [first] = [...byRange.keys()]
      .map(Number)
      .filter((end) => end >= to)
      .sort((a, b) => a - b);
    return byRange.get(`${first}`) ?? [];
  }

  #bytesOf(parcel: Parcel): Buffer {
    const [content] = this.#holders(parcel);
    return Buffer.from(content?.bytes.subarray(parcel.from, parcel.to) ?? []);
  }

  #noteDurable(life: AgentLife): void {
    this.#durable = new Map([...life.checkpoints.records()].map(({ id, offset }) => [id, offset]));
    this.#sentTo = new Map();
  }

  /** Which contents nobody could find now: of those the agent need not have what it has not seen. */
  #noteMissed(records: Iterable<CheckpointRecord> | undefined = this.#life?.checkpoints.records()): void {
    const all = records === undefined ? undefined : [...records];
    for (const content of this.world.contents) {
      if (content.isCut || content.inode.agentFds > 0) continue;
      content.unheld = true;
      // While no agent lives, nobody misses anything.
      if (all !== undefined) content.missed ||= !this.#isFindable(content, all);
    }
  }

  #isFindable(content: Content, records: readonly CheckpointRecord[]): boolean {
    if (content.packedAt !== undefined) {
      // To the agent it was replaced, not packed.
      const { ino, birthNs } = content.inode;
      if (this.world.inodes.some((other) => other.ino === ino && other.birthNs === birthNs)) return false;
      const known = records.filter((record) => this.#isAbout(record, content));
      if (known.some((record) => isTellable(record) && record.isResting !== true)) return true;
      // What little is known of another one may be what it begins with as well: then it may be that one.
      const isAlike = records.some(
        ({ fingerprint }) => fingerprint.length > 0 && content.beginsWith(fingerprint),
      );
      return !isAlike && this.#isUnseenRotated(content, content.packedAt, records);
    }
    const paths = [...content.inode.paths];
    if (this.#hasMatch(content)) return true;
    if (paths.some((path) => this.#isUnseenRotated(content, path, records))) return true;
    const about = records.filter((record) => this.#isAbout(record, content));
    return paths.map(folderOf).some((folder) =>
      about.some((record) => {
        const own = folderOf(record.path);
        return folder === own || folderOf(folder) === own || folder === record.folder;
      }),
    );
  }

  /** It was at a path where an older file was known, and was rotated on before anybody looked. */
  #isUnseenRotated(content: Content, path: string, records: readonly CheckpointRecord[]): boolean {
    const { lane, inode, number, isOdd, isLate } = content;
    if (!this.plan.hasBirthTimes || this.plan.ops.some(({ kind }) => kind === "jump clock")) return false;
    if (isOdd || isLate || this.world.links.has(lane) || !path.startsWith(`${lane}.`)) return false;
    // One that is older is back: to the agent it never left.
    const there = this.world.at(lane);
    if (this.world.contents.some((other) => other.inode === there && other.number < number)) return false;
    // As well when the one that is there now has its number again, and was born within the same tick.
    const isMistaken = ({ id, path: at, ino, birthtimeNs }: CheckpointRecord) =>
      at === lane &&
      ino === there?.ino &&
      birthtimeNs === there.birthNs &&
      this.ids.ownersOf(id, this.world.contents).every((owner) => owner.inode !== there);
    if (records.some(isMistaken)) return false;
    // A content that another one was before, in the same file, is found by that one's record.
    const isFirst = this.world.contents.every((other) => other.inode !== inode || other.number >= number);
    const older = records.filter((record) => {
      const owners = this.ids.ownersOf(record.id, this.world.contents);
      return record.path === lane && owners.some((owner) => owner.number < number && owner.lane === lane);
    });
    return isFirst && this.matches(lane) && older.length > 0;
  }

  #hasMatch(content: Content): boolean {
    return [...content.inode.paths].some((path) => this.#isAtMatch(path));
  }

  #isAtMatch(path: string): boolean {
    if (this.matches(path)) return true;
    return [...this.world.links].some(([link, target]) => target === path && this.matches(link));
  }

  // What must hold at every moment.

  #checkLetGo(content: Content): void {
    if (this.#life?.source === undefined || content.isCut) return;
    const gap = content.settled.firstGap(content.seen);
    if (gap === undefined) return;
    const isSaid = this.lossRecords.some((loss) => this.ids.mayBe(loss.file, content));
    // With many files it may give way to others, and is opened again by its name.
    const isFoundAgain = this.plan.openFilesMax < ENOUGH && this.#hasMatch(content);
    hold(
      "a file is held until it is shipped",
      isSaid || isFoundAgain,
      () => `[${gap.from}, ${gap.to}) of ${content}`,
    );
  }

  #checkWritten(): Promise<void> {
    return checkWritten(this.#disk.forProcess(), `${this.world.folder}.c`);
  }

  #checkAccount(): void {
    if (this.#violation !== undefined) throw this.#violation;
    const { source, checkpoints } = this.#life ?? {};
    for (const record of checkpoints?.records() ?? []) {
      checkSums(record);
      const { id, offset } = record;
      const contents = this.ids.contentsOf(id, this.world.contents);
      const holds = offset === 0 || contents.some((content) => content.settled.has(0, offset));
      hold("a checkpoint says what is settled", holds, () => `${id}: ${offset}, ${contents.join(", ")}`);
    }
    for (const file of source?.files ?? []) {
      const { id } = file.record;
      const contents = this.ids.contentsOf(id, this.world.contents);
      const isSent = file.offset === 0 || contents.some((content) => content.sent.has(0, file.offset));
      hold("what is passed over was sent", isSent, () => `${id}: ${file.offset}`);
    }
  }
}

/** Does a record say by what its file would be known again, whatever becomes of it? */
function tells({ fingerprint }: CheckpointRecord): boolean {
  return fingerprint.length > 0;
}

/** Between a look at its size and the read after it, content was replaced: what it was, nobody has read. */
function cutAmid(content: Content, seenBefore: number): void {
  content.isCutAmid = true;
  content.seen = Math.min(content.seen, seenBefore);
}

/** The world's numbers in place of the kernel's. */
function show(stats: BigIntStats | Stats, inode: Inode): void {
  const { ino, birthNs, mtimeNs, ctimeNs } = inode;
  if (typeof stats.ino === "bigint") {
    Object.assign(stats, { ino, birthtimeNs: birthNs, mtimeNs, ctimeNs });
  } else {
    Object.assign(stats, {
      ino: Number(ino),
      mtimeMs: Number(mtimeNs) / 1e6,
      ctimeMs: Number(ctimeNs) / 1e6,
    });
  }
}
