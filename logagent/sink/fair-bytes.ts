import { invariant } from "../../base/invariant.ts";

/** What one topic holds. Owned by {@link FairBytes}; others only read it. */
export interface ByteAccount {
  readonly heldBytes: number;
}

interface Account extends ByteAccount {
  heldBytes: number;
}

interface Waiter {
  readonly account: Account;
  readonly bytes: number;
  readonly isPaused: () => boolean;
  readonly grant: () => void;
  readonly fail: (reason: unknown) => void;
}

/**
 * A topic that holds something may hold at most this part of what is free. One busy topic then gets a fifth of the limit, and
 * topics that die one after another always leave room for the rest: each takes a smaller share.
 */
const SHARE_OF_FREE = 1 / 4;

/**
 * Bounds the bytes in flight of all topics together, and shares them: no topic waits because another is stuck. First
 * come, first served among those that are not held back by their own share. One request larger than the whole limit is let
 * through alone.
 */
export class FairBytes {
  #limitBytes: number;
  #heldBytes = 0;
  readonly #waiters = new Set<Waiter>();

  constructor(limitBytes: number) {
    invariant(limitBytes > 0, `byte limit ${limitBytes} is above zero`);
    this.#limitBytes = limitBytes;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** What is held above a lower limit stays held until it is given back. */
  resize(limitBytes: number): void {
    invariant(limitBytes > 0, `byte limit ${limitBytes} is above zero`);
    this.#limitBytes = limitBytes;
    this.wake();
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  newAccount(): ByteAccount {
    return { heldBytes: 0 };
  }

  /** Takes `bytes` at once and returns true, or takes nothing and returns false. Never overtakes a waiter. */
  tryTake(account: ByteAccount, bytes: number, isPaused: () => boolean): boolean {
    if (this.#waiters.size > 0 || isPaused() || !this.#isWithinShare(account, bytes)) return false;
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > this.#limitBytes) return false;
    (account as Account).heldBytes += bytes;
    this.#heldBytes += bytes;
    return true;
  }

  /**
   * Resolves once `bytes` are taken for the account; rejects with the signal's reason, having taken nothing. Waits for as
   * long as `isPaused()`; call {@link wake} when that changes.
   */
  take(
    account: ByteAccount,
    bytes: number,
    options: { readonly signal: AbortSignal; readonly isPaused: () => boolean },
  ): Promise<void> {
    const { signal, isPaused } = options;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters.delete(waiter);
        reject(signal.reason);
        this.wake();
      };
      const grant = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const fail = (reason: unknown) => {
        signal.removeEventListener("abort", onAbort);
        reject(reason);
      };
      const waiter: Waiter = { account: account as Account, bytes, isPaused, grant, fail };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
      this.wake();
    });
  }

  /** Gives back what was taken. */
  give(account: ByteAccount, bytes: number): void {
    (account as Account).heldBytes -= bytes;
    this.#heldBytes -= bytes;
    invariant(account.heldBytes >= 0 && this.#heldBytes >= 0, `gave back ${bytes} bytes more than were held`);
    this.wake();
  }

  /** Lets those in that may go now. A waiter that waits for the whole limit, not for its share, holds back all behind it. */
  wake(): void {
    const full = new Set<Account>();
    for (const waiter of this.#waiters) {
      const { account, bytes } = waiter;
      if (waiter.isPaused() || full.has(account)) continue;
      if (!this.#isWithinShare(account, bytes)) {
        full.add(account);
        continue;
      }
      if (this.#heldBytes > 0 && this.#heldBytes + bytes > this.#limitBytes) return;
      this.#waiters.delete(waiter);
      account.heldBytes += bytes;
      this.#heldBytes += bytes;
      waiter.grant();
    }
  }

  /** Ends every wait with `reason`. */
  fail(reason: unknown): void {
    for (const waiter of this.#waiters) waiter.fail(reason);
    this.#waiters.clear();
  }

  #isWithinShare(account: ByteAccount, bytes: number): boolean {
    if (account.heldBytes === 0) return true;
    const freeBytes = this.#limitBytes - this.#heldBytes;
    return account.heldBytes + bytes <= freeBytes * SHARE_OF_FREE;
  }
}
