import { clearLine, cursorTo, type Interface } from "node:readline";
import { styleText } from "node:util";

type Color = Parameters<typeof styleText>[0];

const COLORS: readonly Color[] = ["cyan", "yellow", "magenta", "blue", "green"];

/** Stdout: what the members log and what the tool says, around a line that somebody may be typing. */
export class Screen {
  readonly #colors = new Map<string, Color>();
  readonly #width: number;
  /** On a terminal: is shown again, with what is typed so far, below each line. */
  prompt: Interface | undefined;

  constructor(names: readonly string[]) {
    this.#width = Math.max(...names.map((name) => name.length));
    names.forEach((name, index) => {
      this.#colors.set(name, COLORS[index % COLORS.length] ?? "white");
    });
  }

  /** A line, or several, of a member. */
  log(name: string, text: string): void {
    const prefix = styleText(this.#colors.get(name) ?? "white", `${name.padEnd(this.#width)} │`);
    for (const line of text.split("\n")) this.#print(`${prefix} ${line}`);
  }

  say(text: string): void {
    this.#print(styleText("bold", text));
  }

  /** For a program to read, too: no colour. */
  plain(text: string): void {
    this.#print(text);
  }

  problem(text: string): void {
    this.#print(styleText("red", text));
  }

  #print(text: string): void {
    if (this.prompt === undefined) {
      process.stdout.write(`${text}\n`);
      return;
    }
    clearLine(process.stdout, 0);
    cursorTo(process.stdout, 0);
    process.stdout.write(`${text}\n`);
    this.prompt.prompt(true);
  }
}
