/** A promise that was seen broken: what a simulation looks for. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** Which promise, in a word or two, the same for every case of it. */
  readonly law: string;

  constructor(law: string, message: string) {
    super(`${law}: ${message}`);
    this.law = law;
  }
}

/** Throws a Violation of the law unless it holds. */
export function hold(law: string, holds: boolean, detail: () => string): asserts holds {
  if (!holds) throw new Violation(law, detail());
}

/** The law that does not hold; of anything else that went wrong, what it says. */
export function lawOf(violation: unknown): string {
  return violation instanceof Violation ? violation.law : String(violation);
}
