import { pino } from "pino";
import type { LossRecord } from "../../logagent/checkpoint/loss.ts";
import type { CheckpointRecord } from "../../logagent/checkpoint/record.ts";
import { compileGlob, matchesAny } from "../../logagent/source/glob.ts";
import type { Content } from "./content.ts";
import { IdBook } from "./id-book.ts";
import type { Plan } from "./plan.ts";
import type { World } from "./world.ts";

/** What is known of a sequence by now: the laws are about it. */
export class Facts {
  readonly plan: Plan;
  readonly world: World;
  readonly ids = new IdBook();
  /** That the agent has said. */
  readonly lossRecords: LossRecord[] = [];
  /** What happened, a line each. */
  readonly history: string[] = [];
  /** The ids that the agent has, or had, in this life. */
  knownIds = new Set<string>();
  /** It is being stopped: what it lets go of now it need not have shipped. */
  isEnding = false;
  readonly #globs;
  #violation: unknown;

  constructor(plan: Plan, world: World) {
    this.plan = plan;
    this.world = world;
    this.#globs = compileGlob(world.path(plan.glob));
  }

  matches(path: string): boolean {
    return matchesAny(this.#globs, path);
  }

  /** Is it at a path of the entry, or does a link of the entry lead to it? */
  hasMatch({ inode }: Content): boolean {
    return [...inode.paths].some((path) => {
      if (this.matches(path)) return true;
      return [...this.world.links].some(([link, target]) => target === path && this.matches(link));
    });
  }

  isAbout({ id, fingerprint }: CheckpointRecord, content: Content): boolean {
    if (!this.ids.ownersOf(id, this.world.contents).includes(content)) return false;
    if (fingerprint.length === 0) return content.inode.content === content;
    return content.beginsWith(fingerprint);
  }

  /** Where the agent says what it does; nothing it says counts while `isSilent`. */
  logger(isSilent: () => boolean): pino.Logger {
    const write = (line: string) => {
      if (!isSilent()) this.#said(line);
    };
    return pino({ base: null }, { write });
  }

  /** What a check throws is kept as well: the agent bears with what its parts throw. */
  watch(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#violation ??= error;
      throw error;
    }
  }

  /** Throws what a check has thrown within the agent. */
  rethrow(): void {
    if (this.#violation !== undefined) throw this.#violation;
  }

  #said(line: string): void {
    const said = JSON.parse(line) as { msg: string; loss?: LossRecord };
    if (said.loss !== undefined) this.lossRecords.push(said.loss);
    const { level, time, msg, ...fields } = said as Record<string, unknown>;
    this.history.push(`    ${msg} ${JSON.stringify(fields)}`);
  }
}
