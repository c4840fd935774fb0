import { type Random, seededRandom } from "../../base/random.ts";
import { READ_RETRY_MAX_MS } from "../../logagent/source/read-trouble.ts";
import { ROTATE_WAIT_MAX_MS } from "../../logagent/source/rotation.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { hold } from "../support/violation.ts";
import { Arrivals } from "./arrivals.ts";
import type { Content } from "./content.ts";
import { Facts } from "./facts.ts";
import { FILE_OPERATIONS } from "./file-operations.ts";
import { checkEnd, checkOrderOfLanes, checkOthersOfBad } from "./laws.ts";
import { checkAccount, checkLetGo } from "./laws-of-moments.ts";
import { Lives } from "./lives.ts";
import { Looks } from "./looks.ts";
import { ModelSink } from "./model-sink.ts";
import { ENOUGH, type Op, type OpKind, type Plan, pick } from "./plan.ts";
import { watchFs } from "./watched-fs.ts";
import { World } from "./world.ts";

const STEPS_MS = [1, 50, 250, 500, 1000, 2500];
/** At the end: so many steps in which nothing arrives. */
const QUIET_STEPS = 13;
/** Where few files may be open: each that was rotated takes a few steps in which nothing arrives, before the next is opened. */
const QUIET_STEPS_OF_TURNS = 40;
/** Where a file could not be read for some time: until it is tried again, and until nobody waits for it any more. */
const QUIET_STEPS_OF_TRIES = Math.ceil(READ_RETRY_MAX_MS / 1000) + QUIET_STEPS;
const QUIET_STEPS_OF_WAITS = Math.ceil(ROTATE_WAIT_MAX_MS / 1000) + QUIET_STEPS;
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

/** A plan as it happens: to the files, to the agent, and to its destination. */
export class Sequence {
  readonly facts: Facts;
  readonly #clock = new ManualClock();
  readonly #random: Random;
  readonly #looks: Looks;
  readonly #arrivals: Arrivals;
  readonly #sink: ModelSink;
  readonly #lives: Lives;

  constructor(plan: Plan, folder: string) {
    const clock = this.#clock;
    this.#random = seededRandom(plan.seed);
    const { tickMs, hasBirthTimes, lanes } = plan;
    const world = new World({ folder, wallMs: () => clock.wallMs(), tickMs, hasBirthTimes, lanes });
    const facts = new Facts(plan, world);
    this.facts = facts;
    this.#looks = new Looks(facts, { letGo: (content) => this.#letGo(content) });
    this.#arrivals = new Arrivals(facts);
    this.#sink = new ModelSink(this.#arrivals);
    const [looks, arrivals, sink, random] = [this.#looks, this.#arrivals, this.#sink, this.#random];
    this.#lives = new Lives({ facts, looks, arrivals, sink, clock, random });
    watchFs(looks);
  }

  get deliveries(): number {
    return this.#sink.deliveries;
  }

  async run(): Promise<void> {
    const { plan, history } = this.facts;
    const { glob, tickMs, hasBirthTimes, ops } = plan;
    history.push(`${glob}, ticks of ${tickMs} ms, ${hasBirthTimes ? "" : "no "}birth times`);
    await this.#lives.start();
    for (const op of ops) {
      history.push(op.kind);
      await this.#apply(op);
      this.#lives.noteMissed();
      this.#checkMoment();
      if (this.#lives.current === undefined) await this.#lives.checkWritten();
    }
    await this.#finish();
    await this.#lives.checkWritten();
    checkOrderOfLanes(this.facts, this.#arrivals.all);
    checkEnd(this.facts);
  }

  async close(): Promise<void> {
    this.#looks.interruptNoMore();
    await this.#lives.die();
    watchFs(undefined);
    this.facts.world.close();
  }

  async #apply(op: Op): Promise<void> {
    const act = FILE_OPERATIONS[op.kind];
    if (act !== undefined) return act(this.facts.world, op);
    const sink = this.#sink;
    const lives = this.#lives;
    const index = Math.floor(op.a * sink.parcels.length);
    switch (op.kind) {
      case "step":
        return this.#step(pick(STEPS_MS, op.a));
      case "step amid":
        return this.#stepAmid(op);
      case "crash":
        return lives.crash({ losesUnsynced: op.b < 0.5 });
      case "crash while writing":
        return this.#crashWhileWriting(op);
      case "stop":
        return lives.stop();
      case "start":
        return lives.start();
      case "remove entry":
        return lives.removeEntry({ settles: op.a < 0.5 });
      case "change topic":
        return lives.changeTopic({ settles: op.a < 0.5 });
      case "fill disk":
      case "free disk":
        return lives.fillDisk(op.kind === "fill disk");
      case "jump clock":
        this.#clock.wallOffsetMs += Math.floor((op.a - 0.5) * JUMP_MS);
        return;
      case "ack one":
        return sink.settle(index, {
          bytes: (parcel) => this.#arrivals.bytesOf(parcel),
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

  async #step(ms: number): Promise<void> {
    const before = this.#sink.deliveries;
    this.#clock.advance(ms);
    await this.#lives.current?.poll();
    this.#looks.polled();
    const { openFilesMax } = this.facts.plan;
    const { openFiles } = this.#looks;
    // A process that died amid a scan has open what that was about to close.
    const isWithin = openFiles <= openFilesMax || this.#lives.current?.disk.isDead === true;
    hold("no more files are open than may be", isWithin, () => `${openFiles} of ${openFilesMax}`);
    this.facts.history.push(`  ${ms} ms, ${this.#sink.deliveries - before} deliveries`);
  }

  async #stepAmid(op: Op): Promise<void> {
    const { world, history } = this.facts;
    const kind = pick(AMID, op.a);
    const before = world.contents.map((content) => ({ content, seen: content.seen, isCut: content.isCut }));
    this.#looks.interruptAfter(Math.floor(op.b * CALLS_OF_A_STEP), () => {
      history.push(`  amid: ${kind}`);
      FILE_OPERATIONS[kind]?.(world, { kind, a: op.c, b: op.a * 7919 - Math.floor(op.a * 7919), c: op.b });
      for (const { content, seen, isCut } of before) if (content.isCut && !isCut) cutAmid(content, seen);
      this.#lives.noteMissed();
    });
    await this.#step(pick(STEPS_MS, op.c));
    this.#looks.interruptNoMore();
  }

  async #crashWhileWriting(op: Op): Promise<void> {
    this.#sink.settleAll();
    this.#lives.current?.disk.dieAfter(1 + Math.floor(op.a * OPERATIONS_OF_A_WRITE));
    await this.#step(1000);
    await this.#lives.crash({ losesUnsynced: op.b < 0.5 });
  }

  /** Everything is well again, first all but the disk of the logs, until nothing happens any more. */
  async #finish(): Promise<void> {
    const { world, plan, history } = this.facts;
    history.push("finish");
    this.#lives.fillDisk(false);
    await this.#lives.start();
    this.#sink.open();
    if (world.inodes.some(({ bad }) => bad !== undefined)) {
      await this.#untilQuiet(QUIET_STEPS_OF_WAITS);
      checkOthersOfBad(this.facts);
      for (const inode of world.inodes) world.healReads(inode);
    }
    const isTried = plan.ops.some(({ kind }) => kind === "fail reads");
    const ofTries = isTried ? QUIET_STEPS_OF_TRIES : QUIET_STEPS;
    await this.#untilQuiet(plan.openFilesMax < ENOUGH ? Math.max(ofTries, QUIET_STEPS_OF_TURNS) : ofTries);
  }

  async #untilQuiet(quietSteps: number): Promise<void> {
    const { plan } = this.facts;
    let quiet = 0;
    for (let steps = 0; quiet < quietSteps; steps += 1) {
      hold("the agent comes to rest", steps < END_STEPS_MAX, () => `${steps} steps`);
      const before = this.#sink.deliveries;
      await this.#step(1000);
      // Files give way to each other also now.
      if (plan.openFilesMax < ENOUGH) this.#lives.noteMissed();
      this.#sink.settleAll();
      quiet = this.#sink.deliveries === before ? quiet + 1 : 0;
      this.#checkMoment();
    }
  }

  #letGo(content: Content): void {
    if (this.#lives.current?.source !== undefined) checkLetGo(this.facts, content);
  }

  #checkMoment(): void {
    this.facts.rethrow();
    if (this.#lives.current !== undefined) checkAccount(this.facts, this.#lives.current);
  }
}

/** Between a look at its size and the read after it, content was replaced: what it was, nobody has read. */
function cutAmid(content: Content, seenBefore: number): void {
  content.isCutAmid = true;
  content.seen = Math.min(content.seen, seenBefore);
}
