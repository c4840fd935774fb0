/** Read as it is: lines are shipped unchanged, also where they are not UTF-8. */
export const UTF_8 = "utf-8";
/**
 * Not for lines: what a byte means in the first depends on the lines before, and the second has no characters but ASCII.
 */
const REFUSED: ReadonlySet<string> = new Set(["iso-2022-jp", "x-user-defined"]);

/**
 * The encoding that a label of the WHATWG Encoding Standard names ("latin1" is "windows-1252"), by its canonical name; undefined
 * for a label that is unknown, or whose text cannot be read line by line.
 */
export function encodingNamed(label: string): string | undefined {
  try {
    const { encoding } = new TextDecoder(label);
    return REFUSED.has(encoding) ? undefined : encoding;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
