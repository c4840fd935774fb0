/** What a command prints. Quiet output (the scripts' log level "none") takes nothing in. */
export class Output {
  isQuiet = false;
  #text = "";

  write(text: string): void {
    if (!this.isQuiet) this.#text += text;
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  /** Everything that `print` writes, two spaces to the right, each line ended. */
  indented(print: () => void): void {
    const before = this.#text;
    this.#text = "";
    print();
    const lines = this.#text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    this.#text = before + lines.map((line) => `  ${line}\n`).join("");
  }

  /** The text so far; the next one starts empty. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}
