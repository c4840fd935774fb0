import { seededRandom } from "../../../base/random.ts";

/** Every so many lines one is long. */
const LONG_EVERY = 97;
const LONG_BYTES = 9_000;
const SHORT_BYTES_MAX = 1_200;

/** What the lines are filled with: random enough to differ, and to be compressed like text. */
const filler = (() => {
  const random = seededRandom(1);
  const letters = "abcdefghijklmnopqrstuvwxyz      0123456789";
  const text = Array.from({ length: 4_096 }, () => letters[Math.floor(random.next() * letters.length)]);
  return text.join("").repeat(4);
})();

/** A line of a log, with its newline. The number tells every byte of it, so that nobody needs to keep what was written. */
export function lineOf(log: string, number: number): string {
  const hash = Math.imul(number + 1, 2_654_435_761) >>> 0;
  const bytes = number % LONG_EVERY === 0 ? LONG_BYTES : hash % SHORT_BYTES_MAX;
  const at = hash % 4_096;
  return `${log} #${number} ${filler.slice(at, at + bytes)}\n`;
}

/** The number of a line that came whole. */
export function numberIn(log: string, text: string): number | undefined {
  if (!text.startsWith(`${log} #`)) return undefined;
  const end = text.indexOf(" ", log.length + 2);
  const number = Number(text.slice(log.length + 2, end));
  return end > 0 && Number.isSafeInteger(number) && lineOf(log, number) === `${text}\n` ? number : undefined;
}

/** All lines of a log, one after the other, up to so many bytes; and where each starts. */
export function streamOf(
  log: string,
  bytes: number,
): { readonly text: string; readonly starts: readonly number[] } {
  const lines: string[] = [];
  const starts: number[] = [];
  for (let at = 0; at < bytes; ) {
    const line = lineOf(log, lines.length);
    starts.push(at);
    lines.push(line);
    at += line.length;
  }
  return { text: lines.join("").slice(0, bytes), starts };
}
