import { CodedError } from "../../base/errors.ts";

/** Tells whether an entry is being applied, which takes many turns of the event loop when it is large. */
export class EntryBoundary {
  #place: "between" | "inside" | "broken" = "between";
  #waiting: PromiseWithResolvers<void> | undefined;

  get isBetweenEntries(): boolean {
    return this.#place === "between";
  }

  enter(): void {
    this.#place = "inside";
  }

  leave(): void {
    this.#place = "between";
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  /** The entry will not be finished: there is no way back to a boundary. */
  breakOff(): void {
    this.#place = "broken";
    this.#waiting?.reject(brokenOff());
    this.#waiting = undefined;
  }

  /**
   * Resolves at the end of the entry that is being applied; another one may have begun when the caller goes on. Rejects with
   * CodedError EHALFENTRY when it will not end.
   */
  next(): Promise<void> {
    if (this.#place === "broken") return Promise.reject(brokenOff());
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }
}

function brokenOff(): CodedError {
  return new CodedError("EHALFENTRY", "Cannot go on with the state: an entry was applied in part");
}
