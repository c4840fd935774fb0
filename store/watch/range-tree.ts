/** Keys from `start` to below `end` (undefined: no end), as strings that compare with `<`. */
export interface Interval {
  readonly start: string;
  readonly end: string | undefined;
}

interface Node<T> {
  readonly interval: Interval;
  readonly value: T;
  readonly priority: number;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
  /** The greatest end in this subtree: a key at or above it is in none of its intervals. */
  maxEnd: string | undefined;
}

/**
 * Values by interval, found by a key inside: a treap ordered by interval, in which each node knows the greatest end below
 * it. A look-up costs O(log n + matches). Its shape comes from a fixed sequence, so that a run can be replayed.
 */
export class RangeTree<T> {
  #root: Node<T> | undefined;
  #size = 0;
  #lastPriority = 1;

  get size(): number {
    return this.#size;
  }

  get(interval: Interval): T | undefined {
    let node = this.#root;
    while (node !== undefined) {
      const order = compare(interval, node.interval);
      if (order === 0) return node.value;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }

  /** Adds an interval that is not there yet. */
  add(interval: Interval, value: T): void {
    // A linear congruential generator (Numerical Recipes): balance needs no more than spread-out priorities.
    this.#lastPriority = (Math.imul(this.#lastPriority, 1664525) + 1013904223) >>> 0;
    const priority = this.#lastPriority;
    const fresh = { interval, value, priority, left: undefined, right: undefined, maxEnd: interval.end };
    this.#root = insert(this.#root, fresh);
    this.#size += 1;
  }

  /** Removes an interval that is there. */
  delete(interval: Interval): void {
    this.#root = remove(this.#root, interval);
    this.#size -= 1;
  }

  /** Calls `visit` with the value of each interval that holds `key`. */
  visit(key: string, visit: (value: T) => void): void {
    visitFrom(this.#root, key, visit);
  }

  /** Some interval holds `key`. */
  holds(key: string): boolean {
    let found = false;
    this.visit(key, () => {
      found = true;
    });
    return found;
  }
}

function visitFrom<T>(node: Node<T> | undefined, key: string, visit: (value: T) => void): void {
  if (node === undefined || (node.maxEnd !== undefined && node.maxEnd <= key)) return;
  visitFrom(node.left, key, visit);
  const { start, end } = node.interval;
  if (key < start) return;
  if (end === undefined || key < end) visit(node.value);
  visitFrom(node.right, key, visit);
}

function insert<T>(node: Node<T> | undefined, fresh: Node<T>): Node<T> {
  if (node === undefined) return fresh;
  if (compare(fresh.interval, node.interval) < 0) {
    node.left = insert(node.left, fresh);
    if (node.left.priority > node.priority) return rotateRight(node, node.left);
  } else {
    node.right = insert(node.right, fresh);
    if (node.right.priority > node.priority) return rotateLeft(node, node.right);
  }
  updateMaxEnd(node);
  return node;
}

function remove<T>(node: Node<T> | undefined, interval: Interval): Node<T> | undefined {
  if (node === undefined) return undefined;
  const order = compare(interval, node.interval);
  if (order === 0) return join(node.left, node.right);
  if (order < 0) node.left = remove(node.left, interval);
  else node.right = remove(node.right, interval);
  updateMaxEnd(node);
  return node;
}

/** One treap of two, the first one's intervals all before the second one's. */
function join<T>(left: Node<T> | undefined, right: Node<T> | undefined): Node<T> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = join(left.right, right);
    updateMaxEnd(left);
    return left;
  }
  right.left = join(left, right.left);
  updateMaxEnd(right);
  return right;
}

function rotateRight<T>(node: Node<T>, left: Node<T>): Node<T> {
  node.left = left.right;
  left.right = node;
  updateMaxEnd(node);
  updateMaxEnd(left);
  return left;
}

function rotateLeft<T>(node: Node<T>, right: Node<T>): Node<T> {
  node.right = right.left;
  right.left = node;
  updateMaxEnd(node);
  updateMaxEnd(right);
  return right;
}

function updateMaxEnd<T>(node: Node<T>): void {
  let maxEnd = node.interval.end;
  for (const child of [node.left, node.right]) {
    if (child === undefined || maxEnd === undefined) continue;
    if (child.maxEnd === undefined || child.maxEnd > maxEnd) maxEnd = child.maxEnd;
  }
  node.maxEnd = maxEnd;
}

/** By start, then by end; no end is the greatest. */
function compare(a: Interval, b: Interval): number {
  if (a.start !== b.start) return a.start < b.start ? -1 : 1;
  if (a.end === b.end) return 0;
  if (a.end === undefined) return 1;
  if (b.end === undefined) return -1;
  return a.end < b.end ? -1 : 1;
}
