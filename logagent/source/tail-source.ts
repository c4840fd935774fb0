import { errorCode, errorMessage } from "../../base/errors.ts";
import { Slice } from "../../base/slice.ts";
import { untilAborted } from "../../base/until-aborted.ts";
import { FINAL_FLUSH, type Flush, NO_FLUSH } from "../framing/types.ts";
import { flushDue } from "../rules/flush-due.ts";
import { Closing } from "./closing.ts";
import { followContent, replaceContent, takeNext } from "./content-change.ts";
import type { ContentLedger } from "./content-ledger.ts";
import type { Hint } from "./folder-hints.ts";
import { GivingWay } from "./giving-way.ts";
import { heldLineOf, mayReadOn } from "./held-line.ts";
import { Lanes } from "./lanes.ts";
import { LooksDue } from "./looks-due.ts";
import { readFailed, readWorked } from "./read-trouble.ts";
import { Rotation } from "./rotation.ts";
import { ScanTiming } from "./scan-timing.ts";
import { Scanner } from "./scanner.ts";
import { type ShipOptions, shipFile } from "./ship-file.ts";
import type { SourceContext } from "./source-context.ts";
import { LOOK_MS, type TailedFile } from "./tailed-file.ts";
import { rememberUnread } from "./unread.ts";

/**
 * The files of one entry: finds them, holds them, and ships what they grow by. Nothing happens but by `poll()`, which
 * never waits for a sink: shipping goes on beside it, one file at a time each.
 */
export class TailSource {
  readonly #context: SourceContext;
  readonly #files = new Map<string, TailedFile>();
  readonly #lanes = new Lanes();
  readonly #looks = new LooksDue<TailedFile>();
  readonly #scanner: Scanner;
  readonly #rotation: Rotation;
  readonly #givingWay: GivingWay;
  readonly #closing: Closing;
  readonly #scans = new ScanTiming();
  #polledAtMs = 0;
  #withoutFilesSinceMs: number | undefined;
  readonly #stopping = new AbortController();

  constructor(context: SourceContext) {
    this.#context = context;
    this.#scanner = new Scanner(context, {
      files: this.#files,
      lanes: this.#lanes,
      looks: this.#looks,
      contents: () => this.contents(),
      holder: this,
    });
    this.#rotation = new Rotation({
      context,
      lanes: this.#lanes,
      shipFinally: (file) => this.#ship(file, FINAL_FLUSH),
      release: (file) => this.#closing.release(file),
    });
    this.#closing = new Closing({ context, scanner: this.#scanner, holder: this });
    this.#givingWay = new GivingWay(context, (file, stamp) => this.#closing.release(file, stamp));
  }

  get files(): Iterable<TailedFile> {
    return this.#files.values();
  }

  get openFiles(): number {
    return this.#files.size;
  }

  /** Files that are watched by their names: nothing is left to ship, or they wait for a descriptor. */
  get closedFiles(): number {
    return this.#scanner.closedCount;
  }

  /** Since when scans have found no file, in monotonic milliseconds; undefined while there is one, or before the first scan. */
  get withoutFilesSinceMs(): number | undefined {
    return this.#withoutFilesSinceMs;
  }

  /** Every content with deliveries that may be unacknowledged. */
  *contents(): Iterable<ContentLedger> {
    for (const file of this.#files.values()) {
      yield file.content;
      if (file.next !== undefined) yield file.next.content;
    }
    yield* this.#context.unsettled.contents();
  }

  /** The folders that would show a new file, as of the last scan. */
  get folders(): readonly string[] {
    return this.#scanner.folders;
  }

  /**
   * When the next poll has something to do, in monotonic milliseconds: no later than LOOK_MS after the last while anything
   * ships or is not acknowledged.
   */
  get dueMs(): number {
    const { stuckTopic, unsettled } = this.#context;
    const isBusy = stuckTopic.isShipping || !unsettled.isEmpty;
    const busyMs = isBusy ? this.#polledAtMs + LOOK_MS : Number.POSITIVE_INFINITY;
    return Math.min(this.#scans.nextMs, this.#looks.firstMs, busyMs);
  }

  /** Something happened in a folder. True when it may concern this entry: the next poll looks, or scans, and is due. */
  hint(hint: Hint): boolean {
    let isOurs = hint.kind === "names";
    if (hint.kind !== "names") {
      for (const file of this.#lanes.at(hint.path)) {
        if (file.failedReads === 0) file.nextLookMs = 0;
        isOurs = true;
      }
    }
    if (hint.kind === "name") isOurs ||= this.#scanner.mayMatch(hint.path);
    if (isOurs && hint.kind !== "content") this.#scans.hurry();
    return isOurs;
  }

  /** Scans and looks as far as it is time for that, and starts shipping what there is. */
  async poll(): Promise<void> {
    try {
      if (this.#context.deps.clock.monotonicMs() >= this.#scans.nextMs) await this.#scan();
    } finally {
      // Whatever keeps new files from being found, those that are held are read on.
      await this.#look();
    }
  }

  /** At the files that are due, and at no others: there may be thousands, and a hint is about one. */
  async #look(): Promise<void> {
    const { clock, deletedFiles, openFiles } = this.#context.deps;
    const slice = new Slice(clock);
    let nowMs = clock.monotonicMs();
    this.#polledAtMs = nowMs;
    // Nothing is given up of a task that ends.
    if (this.#stopping.signal.aborted) return;
    openFiles.makeRoom(nowMs);
    for (const deleted of deletedFiles.mustGo()) {
      const file = this.#files.get(deleted.key);
      if (file === deleted) this.#giveUp(file);
    }
    for (const file of this.#looks.due(nowMs)) {
      if (this.#stopping.signal.aborted) return;
      if (this.#files.get(file.key) !== file) continue;
      if (file.isLookDue(nowMs)) this.#lookAt(file, nowMs);
      // What was begun goes on first: its time is this slice's, and its chunk is free for those that follow.
      if (file.shipping !== undefined) await Promise.resolve();
      if (!slice.isOver) continue;
      await slice.giveTurn();
      nowMs = clock.monotonicMs();
    }
    this.#context.stuckTopic.free(nowMs);
    this.#context.unsettled.dropSettled();
  }

  /** Resolves when nothing ships any more: everything there is was delivered, as far as the last poll saw. */
  async idle(): Promise<void> {
    for (;;) {
      const shipping = [...this.#files.values()].flatMap((file) => file.shipping ?? []);
      if (shipping.length === 0) return;
      await Promise.all(shipping);
    }
  }

  /** Ends deliveries that wait; nothing is read any more. Files stay held. */
  async stop(): Promise<void> {
    const reason = new Error("the task stops");
    this.#stopping.abort(reason);
    for (const file of this.#files.values()) file.abort.abort(reason);
    await this.idle();
  }

  /** Resolves when everything delivered is acknowledged; rejects with the signal's reason. */
  async settled(options: { readonly signal: AbortSignal }): Promise<void> {
    await untilAborted(Promise.all([...this.contents()].map((content) => content.whenSettled())), options);
  }

  /** Lets go of every file, after `stop()`. What is acknowledged from now on moves no checkpoint. */
  close(): void {
    for (const file of [...this.#files.values()]) this.#closing.close(file);
    this.#context.close();
  }

  /** Waits for its turn among the tasks; does nothing when the task stops meanwhile. */
  async #scan(): Promise<void> {
    const { clock, scans } = this.#context.deps;
    const { signal } = this.#stopping;
    const scan = async () => {
      const beganAtMs = clock.monotonicMs();
      try {
        await this.#scanner.scan({ signal });
      } finally {
        const endedAtMs = clock.monotonicMs();
        this.#scans.scanned({ beganAtMs, endedAtMs, isStale: this.#scanner.isStale });
      }
    };
    try {
      await scans.run(scan, { signal });
      this.#context.problems.clear("scan");
    } catch (error) {
      if (signal.aborted) return;
      if (errorCode(error) === undefined) throw error;
      this.#context.problems.set("scan", `Cannot look for files: ${errorMessage(error)}`);
    }
    const hasFiles = this.openFiles + this.closedFiles > 0;
    this.#withoutFilesSinceMs = hasFiles ? undefined : (this.#withoutFilesSinceMs ?? clock.monotonicMs());
  }

  #lookAt(file: TailedFile, nowMs: number): void {
    if (file.isLeaving) file.abort.abort(new Error("another entry ships the file"));
    try {
      const look = file.look(nowMs);
      this.#context.deps.deletedFiles.note(file);
      followContent(file, look, this.#context);
      if (file.shipping !== undefined) {
        this.#givingWay.hurry(file);
        rememberUnread(file, this.#context);
        return;
      }
      takeNext(file, this.#context);
    } catch (error) {
      file.doubt();
      readFailed(file, error, this.#context);
      if (this.#givingWay.close(file, nowMs)) return;
      this.#rotation.stopWaitingFor(file, nowMs);
      return;
    }
    if (file.failedReads > 0 && !file.hasUnread) readWorked(file, this.#context);
    if (this.#giveWay(file, nowMs)) return;
    if (file.isLeaving) {
      // Whoever goes on with them is to find the oldest first.
      if (file.content.isSettled && this.#lanes.isOldest(file)) this.#closing.release(file);
    } else if (file.hasUnread) {
      this.#rotation.stopWaitingFor(file, nowMs);
      if (this.#lanes.hasTurn(file) && mayReadOn(file, nowMs)) this.#ship(file, NO_FLUSH);
      else rememberUnread(file, this.#context);
    } else if (file.place.kind === "at its path" && file.drain.kind === "open") this.#flush(file, nowMs);
    else this.#rotation.moveOn(file, nowMs);
  }

  /** False: it stays. */
  #giveWay(file: TailedFile, nowMs: number): boolean {
    if (file.givesWaySinceMs === undefined) return false;
    if (!file.hasUnread) this.#flush(file, nowMs);
    if (file.shipping !== undefined) return true;
    rememberUnread(file, this.#context);
    return this.#givingWay.close(file, nowMs);
  }

  /** Of a file at its end: what waits for the rest of its line, or for further lines, and has waited long enough. */
  #flush(file: TailedFile, nowMs: number): void {
    if (file.size === file.offset || !this.#lanes.hasTurn(file)) return;
    const { grownAtMs, flushed } = file;
    const flush = flushDue(this.#context.entry, nowMs - grownAtMs);
    const before = flushed?.grownAtMs === grownAtMs ? flushed.flush : NO_FLUSH;
    if (flush.partialLine === before.partialLine && flush.group === before.group) return;
    this.#ship(file, flush);
    if (file.shipping !== undefined) file.flushed = { grownAtMs, flush };
  }

  #ship(file: TailedFile, flush: Flush): void {
    if (this.#stopping.signal.aborted || !this.#context.stuckTopic.mayShip) return;
    if (file.drain.kind === "drained") this.#rotation.warnLate(file);
    file.abort = new AbortController();
    const { signal } = file.abort;
    this.#context.stuckTopic.began(file);
    file.shipping = this.#shipToEnd(file, { signal, flush });
  }

  async #shipToEnd(file: TailedFile, options: ShipOptions): Promise<void> {
    const { offset } = file;
    try {
      const end = await shipFile(file, this.#context, options);
      // Whoever was stopped may not have come to a read.
      if (end !== "stopped" || file.offset > offset) readWorked(file, this.#context);
      if (end === "at end") {
        file.caughtUpAtMs = this.#context.deps.clock.monotonicMs();
        file.heldLine = heldLineOf(file, file.caughtUpAtMs);
        if (options.flush.final) this.#rotation.drained(file);
      }
      if (end === "replaced" && file.next === undefined) {
        replaceContent(file, "rewritten in place", this.#context);
      }
      takeNext(file, this.#context);
    } catch (error) {
      readFailed(file, error, this.#context);
    } finally {
      file.shipping = undefined;
      this.#context.stuckTopic.ended(file);
    }
  }

  #giveUp(file: TailedFile): void {
    file.abort.abort(new Error("the disk it takes up is needed"));
    if (file.shipping !== undefined) return;
    takeNext(file, this.#context);
    this.#context.unsettled.leave(file, "deleted, and held for longer than there was room");
    this.#closing.drop(file);
  }
}
