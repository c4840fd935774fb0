/**
 * Finds out that the other side of a connection has gone silent, by looks in a row that found nothing new. It does not
 * compare times, so that a process that was stopped for a while does not blame its peers.
 */
export class SilenceWatch {
  readonly #timer: NodeJS.Timeout;
  #seen: number;
  #silentLooks = 0;

  /** `signs` changes with every sign of life. `onLook` is called at each look but the last, at which `onSilent` is. */
  constructor(
    signs: () => number,
    options: {
      readonly intervalMs: number;
      readonly silentLooksMax: number;
      readonly onLook?: () => void;
      readonly onSilent: () => void;
    },
  ) {
    this.#seen = signs();
    this.#timer = setInterval(() => {
      const seen = signs();
      this.#silentLooks = seen === this.#seen ? this.#silentLooks + 1 : 0;
      this.#seen = seen;
      if (this.#silentLooks < options.silentLooksMax) return options.onLook?.();
      this.stop();
      options.onSilent();
    }, options.intervalMs);
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
