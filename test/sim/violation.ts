/** A promise of the store that was seen broken: what the simulator looks for. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** Which promise, in a word or two, the same for every case of it. */
  readonly law: string;

  constructor(law: string, message: string) {
    super(`${law}: ${message}`);
    this.law = law;
  }
}
