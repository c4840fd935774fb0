import type { Random } from "../../../../base/random.ts";

/**
 * The draws of the members' election timeouts. The scripts set the timeout of a running member; ours draws it from its
 * random port when the wait begins. So a script is replayed twice: the first time finds out which draw it was that the
 * command has to replace, and the second one knows it.
 */
export class ElectionTimeouts {
  readonly #electionTicks: number;
  /** Foreseen timeouts in ticks, by member and number of the draw. */
  readonly #foreseen = new Map<string, number>();
  readonly #draws = new Map<bigint, number>();
  #isUpToDate = true;

  constructor(electionTicks: number) {
    this.#electionTicks = electionTicks;
  }

  /** To be called before each replay. */
  restart(): void {
    this.#draws.clear();
    this.#isUpToDate = true;
  }

  /** False when this replay set a timeout that was not foreseen: it has to be done again. */
  get isUpToDate(): boolean {
    return this.#isUpToDate;
  }

  randomOf(id: bigint): Random {
    let last = 0n;
    return {
      next: () => {
        const draw = (this.#draws.get(id) ?? 0) + 1;
        this.#draws.set(id, draw);
        // The longest there is, unless a script says so: no election but the ones it asks for.
        const ticks = this.#foreseen.get(`${id}/${draw}`) ?? 2 * this.#electionTicks - 1;
        return (ticks - this.#electionTicks + 0.5) / this.#electionTicks;
      },
      uint64: () => {
        last += 1n;
        return (id << 32n) + last;
      },
    };
  }

  /** The present wait of the member takes `ticks`. */
  set(id: bigint, ticks: number): void {
    const key = `${id}/${this.#draws.get(id) ?? 0}`;
    if (this.#foreseen.get(key) === ticks) return;
    this.#foreseen.set(key, ticks);
    this.#isUpToDate = false;
  }
}
