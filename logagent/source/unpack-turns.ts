import { errorCode, errorMessage } from "../../base/errors.ts";
import type { FileIdentity } from "../checkpoint/record.ts";
import type { ClosedFile } from "./file-turns.ts";
import type { HeldFiles } from "./held-files.ts";
import type { SourceContext } from "./source-context.ts";
import { keyOf } from "./tailed-file.ts";

/**
 * Compressed files of one entry that are unpacked at one time: each takes up disk until it is shipped. As many as rotation keeps,
 * mostly.
 */
export const UNPACKED_MAX = 64;

/** With the path of one: what a problem is about. */
const ABOUT = "unpack ";

/** A compressed file whose content is to be read. */
export interface PackedFile {
  readonly path: string;
  readonly identity: FileIdentity;
  /** The path whose turns its content takes. */
  readonly lane: string;
  /** When its content ended, in nanoseconds since the Unix epoch. */
  readonly endedAtNs: bigint;
}

/** Lets compressed files be unpacked a few at a time; the others wait, and with them what comes behind them in their lanes. */
export class UnpackTurns {
  readonly #context: SourceContext;
  readonly #held: HeldFiles;
  /** In this search: what they are about among the problems. */
  #failed = new Set<string>();
  #hadFailed = false;

  constructor(context: SourceContext, held: HeldFiles) {
    this.#context = context;
    this.#held = held;
  }

  /** Could one not be unpacked in the search before? Nobody is to wait for what may never be unpacked. */
  get hadFailed(): boolean {
    return this.#hadFailed;
  }

  beginSearch(): void {
    // One that is gone by now, or has another name, is tried no more.
    this.#context.problems.clearOthers(ABOUT, this.#failed);
    this.#hadFailed = this.#failed.size > 0;
    this.#failed = new Set();
  }

  /** As `attempt`, when it has its turn: `work` unpacks the file and hands its content on to be held. */
  async run<T>(
    file: PackedFile,
    options: { readonly signal: AbortSignal },
    work: () => Promise<T>,
  ): Promise<T | "waiting"> {
    if (!this.hasTurn(file)) return "waiting";
    try {
      return await this.attempt(file, options, work);
    } finally {
      this.taken(file);
    }
  }

  /** What `work` comes to. "waiting": the file cannot be unpacked now, which is said; it is to be searched for again. */
  async attempt<T>(
    { path }: Pick<PackedFile, "path">,
    { signal }: { readonly signal: AbortSignal },
    work: () => Promise<T>,
  ): Promise<T | "waiting"> {
    const { problems, deps } = this.#context;
    const about = `${ABOUT}${path}`;
    try {
      const outcome = await work();
      problems.clear(about);
      return outcome;
    } catch (error) {
      if (signal.aborted || errorCode(error) === undefined) throw error;
      const { folder } = deps.checkpoints;
      this.#failed.add(about);
      problems.set(about, `Cannot unpack ${path} into ${folder}: ${errorMessage(error)}`);
      return "waiting";
    }
  }

  /** It has had its turn. */
  taken(file: PackedFile): void {
    this.#context.turns.forget(nameOf(file));
  }

  /** May so many be unpacked now, as far as their number goes? */
  hasRoomFor(files: number): boolean {
    const unpacked = [...this.#held.files.values()].filter(({ isUnpacked }) => isUnpacked).length;
    return unpacked + files <= UNPACKED_MAX;
  }

  /** May what is in it be held? If not it waits until it is asked for again. */
  hasTurn(file: PackedFile): boolean {
    const { turns, deps } = this.#context;
    const closed = closedPacked(file);
    if (this.hasRoomFor(1)) return turns.areOpen || turns.mayHold(closed, deps.clock.monotonicMs());
    turns.wait(closed);
    return false;
  }
}

/** A compressed file as one that waits for its turn. */
export function closedPacked(file: Omit<PackedFile, "path">): ClosedFile {
  return {
    key: nameOf(file),
    lanePath: file.lane,
    isMoved: true,
    birthtimeNs: file.identity.birthtimeNs,
    bornNs: file.endedAtNs,
    record: undefined,
  };
}

/** By its own name it may wait as well: as what it is, which nobody knows before it is open. */
function nameOf({ identity }: Pick<PackedFile, "identity">): string {
  return `packed ${keyOf(identity)}`;
}
