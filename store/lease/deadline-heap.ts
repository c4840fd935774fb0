interface Deadline {
  readonly id: bigint;
  readonly atMs: number;
}

/** Lease ids by deadline, earliest first. A renewal pushes again; who pops knows which deadline of an id still counts. */
export class DeadlineHeap {
  readonly #items: Deadline[] = [];

  get size(): number {
    return this.#items.length;
  }

  peek(): Deadline | undefined {
    return this.#items[0];
  }

  push(id: bigint, atMs: number): void {
    const item = { id, atMs };
    let at = this.#items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#items[parent] as Deadline;
      if (above.atMs <= atMs) break;
      this.#items[at] = above;
      at = parent;
    }
    this.#items[at] = item;
  }

  pop(): Deadline | undefined {
    const first = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) this.#sink(last);
    return first;
  }

  clear(): void {
    this.#items.length = 0;
  }

  /** Puts `item` where the first one was. */
  #sink(item: Deadline): void {
    const { length } = this.#items;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= length) break;
      const right = this.#items[child + 1];
      if (right !== undefined && right.atMs < (this.#items[child] as Deadline).atMs) child += 1;
      const least = this.#items[child] as Deadline;
      if (least.atMs >= item.atMs) break;
      this.#items[at] = least;
      at = child;
    }
    this.#items[at] = item;
  }
}
