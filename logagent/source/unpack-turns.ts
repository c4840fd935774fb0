import { errorCode, errorMessage } from "../../base/errors.ts";
import type { FileIdentity } from "../checkpoint/record.ts";
import type { HeldFiles } from "./held-files.ts";
import type { SourceContext } from "./source-context.ts";
import { keyOf } from "./tailed-file.ts";

/**
 * Compressed files of one entry that are unpacked at one time: each takes up disk until it is shipped. As many as rotation keeps,
 * mostly: when some have to wait, younger ones may be shipped before them.
 */
export const UNPACKED_MAX = 64;
const NS_PER_MS = 1_000_000;

/** A compressed file whose content is to be read. */
export interface PackedFile {
  readonly path: string;
  readonly identity: FileIdentity;
  /** The path whose turns its content takes. */
  readonly lane: string;
  /** When its content ended, in milliseconds since the Unix epoch. */
  readonly endedAtMs: number;
}

/** Lets compressed files be unpacked a few at a time; the others wait, and with them what comes behind them in their lanes. */
export class UnpackTurns {
  readonly #context: SourceContext;
  readonly #held: HeldFiles;

  constructor(context: SourceContext, held: HeldFiles) {
    this.#context = context;
    this.#held = held;
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
    const about = `unpack ${path}`;
    try {
      const outcome = await work();
      problems.clear(about);
      return outcome;
    } catch (error) {
      if (signal.aborted || errorCode(error) === undefined) throw error;
      const { folder } = deps.checkpoints;
      problems.set(about, `Cannot unpack ${path} into ${folder}: ${errorMessage(error)}`);
      return "waiting";
    }
  }

  /** It has had its turn. */
  taken(file: PackedFile): void {
    this.#context.turns.forget(nameOf(file));
  }

  /** May what is in it be held? If not it waits until it is asked for again. */
  hasTurn(file: PackedFile): boolean {
    const { turns, deps } = this.#context;
    const closed = {
      key: nameOf(file),
      lanePath: file.lane,
      isMoved: true,
      birthtimeNs: file.identity.birthtimeNs,
      bornNs: BigInt(Math.floor(file.endedAtMs * NS_PER_MS)),
      record: undefined,
    };
    const unpacked = [...this.#held.files.values()].filter(({ isUnpacked }) => isUnpacked).length;
    if (unpacked < UNPACKED_MAX) return turns.areOpen || turns.mayHold(closed, deps.clock.monotonicMs());
    turns.wait(closed);
    return false;
  }
}

/** By its own name it may wait as well: as what it is, which nobody knows before it is open. */
function nameOf({ identity }: PackedFile): string {
  return `packed ${keyOf(identity)}`;
}
