/** Since when each member can be reached, as far as the ticks of the election clock see. */
export class ConnectionTimes {
  readonly #isActive: (id: bigint) => boolean;
  /** When it was last seen to be away; a member that never was is not in here. */
  readonly #awayMs = new Map<bigint, number>();

  constructor(isActive: (id: bigint) => boolean) {
    this.#isActive = isActive;
  }

  /** To be called at each tick, with the members that there are. */
  tick(ids: Iterable<bigint>, nowMs: number): void {
    for (const id of ids) if (!this.#isActive(id)) this.#awayMs.set(id, nowMs);
  }

  /** No tick from then on has seen it away. */
  isConnectedSince(id: bigint, sinceMs: number): boolean {
    return this.#isActive(id) && (this.#awayMs.get(id) ?? Number.NEGATIVE_INFINITY) < sinceMs;
  }
}
