/** A law that does not hold. */
export class Violation extends Error {
  readonly law: string;

  constructor(law: string, detail: string) {
    super(`${law}: ${detail}`);
    this.name = "Violation";
    this.law = law;
  }
}

/** Throws a Violation of the law unless it holds. */
export function hold(law: string, holds: boolean, detail: () => string): asserts holds {
  if (!holds) throw new Violation(law, detail());
}
