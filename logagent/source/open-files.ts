/** A file that has more to ship than it can in so long gives its descriptor to the one that has waited longest. */
export const TURN_MS = 2_000;
/** Files that are told to give way at one time. */
export const LEAVING_AT_ONCE_MAX = 256;
/** All held files are gone through for those that can give way no more often. */
export const ROOM_INTERVAL_MS = 250;
/** Whoever waits asks again with each scan; one that has not for so long keeps its place, and is passed over. */
export const ASKED_AGAIN_MS = 30_000;
/** After the kernel had no descriptor left the limit is lower for so long. */
export const EXHAUSTED_MS = 10_000;
/** Of what is held then: so much is left to sockets, checkpoints and folders. */
const SPARED_OF_HELD = 0.1;

/** What a held file would lose if it were closed. Times are monotonic milliseconds. */
export type HoldState =
  /** Nothing: it is at its path, at its end, and everything is acknowledged. `sinceMs`: it has not grown. */
  | { readonly kind: "idle"; readonly sinceMs: number }
  /** It was rotated and is drained: late growth is found by a search alone. */
  | { readonly kind: "lingering"; readonly sinceMs: number }
  /** The place at which it reads; it is at its path, where it is found again. `sinceMs`: it is held. */
  | { readonly kind: "busy"; readonly sinceMs: number }
  /** Bytes that perhaps nobody comes to any more. */
  | { readonly kind: "bound" };

/** A file that takes up a descriptor. */
export interface HeldFile {
  /** Names it among all files. */
  readonly key: string;
  readonly hold: HoldState;
  /** Set when it is to be closed as soon as it can be; the source that holds it does so. */
  givesWaySinceMs: number | undefined;
}

interface Waiter {
  askedAtMs: number;
  /** A descriptor is kept for it since then. */
  grantedAtMs: number | undefined;
}

/**
 * Which files of an agent are open, when not all can be: closed files that have something to ship wait in one queue, over
 * all tasks, and held ones give way to them. It only decides; whoever holds a file closes it.
 */
export class OpenFiles {
  /** As it was configured. */
  readonly limitMax: number;
  readonly #held = new Set<HeldFile>();
  /** By the key of the file, first come first. */
  readonly #queue = new Map<string, Waiter>();
  #limit: number;
  #loweredAtMs: number | undefined;
  #roomAtMs = Number.NEGATIVE_INFINITY;
  #granted = 0;
  #isKnown = false;

  constructor(limit: number) {
    this.limitMax = limit;
    this.#limit = limit;
  }

  /** Files that may be open now. */
  get limit(): number {
    return this.#limit;
  }

  /** The kernel had no descriptor left a short time ago. */
  get isLowered(): boolean {
    return this.#loweredAtMs !== undefined;
  }

  get held(): number {
    return this.#held.size;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** May so many be opened now, whoever asks? */
  hasRoomFor(files: number): boolean {
    return this.#held.size + files <= this.#limit && this.#queue.size === 0;
  }

  /** True once: files wait for the first time. */
  isNews(): boolean {
    if (this.#isKnown || this.#queue.size === 0) return false;
    this.#isKnown = true;
    return true;
  }

  /** May the file be opened now? If not it waits from the first time it asks, until it is held or withdrawn. */
  mayOpen(key: string, nowMs: number): boolean {
    const waiter = this.#queue.get(key) ?? { askedAtMs: nowMs, grantedAtMs: undefined };
    waiter.askedAtMs = nowMs;
    this.#queue.set(key, waiter);
    this.#grant(nowMs);
    return waiter.grantedAtMs !== undefined;
  }

  /** It does not wait any more. */
  withdraw(key: string): void {
    if (this.#queue.get(key)?.grantedAtMs !== undefined) this.#granted -= 1;
    this.#queue.delete(key);
  }

  /** It is open. */
  add(file: HeldFile): void {
    this.withdraw(file.key);
    this.#held.add(file);
  }

  /** It is closed. */
  delete(file: HeldFile): void {
    this.#held.delete(file);
  }

  /** The kernel has no descriptor left for us: as if the limit were below what is held. */
  exhausted(nowMs: number): void {
    if (this.#loweredAtMs !== undefined && nowMs - this.#loweredAtMs < ROOM_INTERVAL_MS) return;
    this.#loweredAtMs = nowMs;
    this.#limit = Math.max(1, Math.floor(this.#held.size * (1 - SPARED_OF_HELD)));
  }

  /** Tells files to give way to those that wait. Call it often. */
  makeRoom(nowMs: number): void {
    if (nowMs - this.#roomAtMs < ROOM_INTERVAL_MS) return;
    this.#roomAtMs = nowMs;
    if (this.#loweredAtMs !== undefined && nowMs - this.#loweredAtMs >= EXHAUSTED_MS) {
      this.#loweredAtMs = undefined;
      this.#limit = this.limitMax;
    }
    if (this.#queue.size === 0 && this.#held.size <= this.#limit) return;
    this.#takeBack(nowMs);
    let count = this.#held.size - this.#limit;
    for (const waiter of this.#queue.values()) if (isAsking(waiter, nowMs)) count += 1;
    // Those that do not come to it are counted no more.
    for (const { givesWaySinceMs } of this.#held) {
      if (givesWaySinceMs !== undefined && nowMs - givesWaySinceMs < TURN_MS) count -= 1;
    }
    const staying = [...this.#held].filter((file) => file.givesWaySinceMs === undefined);
    for (const file of whoGives(staying, { count: Math.min(count, LEAVING_AT_ONCE_MAX), nowMs })) {
      file.givesWaySinceMs = nowMs;
    }
  }

  #grant(nowMs: number): void {
    let free = this.#limit - this.#held.size - this.#granted;
    if (free <= 0) return;
    for (const waiter of this.#queue.values()) {
      if (free <= 0) return;
      if (waiter.grantedAtMs !== undefined || !isAsking(waiter, nowMs)) continue;
      waiter.grantedAtMs = nowMs;
      this.#granted += 1;
      free -= 1;
    }
  }

  /** What is kept for somebody who does not come for it is for others. */
  #takeBack(nowMs: number): void {
    for (const waiter of this.#queue.values()) {
      if (waiter.grantedAtMs === undefined || isAsking(waiter, nowMs)) continue;
      waiter.grantedAtMs = undefined;
      this.#granted -= 1;
    }
  }
}

/**
 * Those that give way: first the ones that have been idle longest, then what lingers after a rotation, then those that have
 * had their turn, the one that is held longest first.
 */
export function whoGives<File extends Pick<HeldFile, "hold">>(
  files: Iterable<File>,
  { count, nowMs }: { readonly count: number; readonly nowMs: number },
): File[] {
  if (count <= 0) return [];
  const leaving = [...files].flatMap((file) => {
    const { hold } = file;
    const rank = rankOf(hold, nowMs);
    return rank === undefined || hold.kind === "bound" ? [] : [{ file, rank, sinceMs: hold.sinceMs }];
  });
  leaving.sort((a, b) => a.rank - b.rank || a.sinceMs - b.sinceMs);
  return leaving.slice(0, count).map(({ file }) => file);
}

/** Undefined: it stays. */
function rankOf(hold: HoldState, nowMs: number): number | undefined {
  switch (hold.kind) {
    case "idle":
      return 0;
    case "lingering":
      return 1;
    case "busy":
      return nowMs - hold.sinceMs >= TURN_MS ? 2 : undefined;
    case "bound":
      return undefined;
    default:
      return hold satisfies never;
  }
}

function isAsking({ askedAtMs }: Waiter, nowMs: number): boolean {
  return nowMs - askedAtMs <= ASKED_AGAIN_MS;
}
