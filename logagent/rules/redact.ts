import { compilePattern, type LinearPattern } from "../../base/linear-pattern.ts";
import type { Redaction } from "../../conf/line-rules.ts";

/**
 * Matches replaced in one record by one rule. A search may look at the whole rest of a record to find a match of one byte, so
 * that a record with very many matches could hold up everything else: behind the last one the rest is replaced as a whole.
 */
export const MATCHES_MAX = 1000;

/** Replaces what matches. */
export class Redactor {
  readonly #rules: readonly { readonly pattern: LinearPattern; readonly replacement: Buffer }[];

  /** Throws PatternError. */
  constructor(rules: readonly Redaction[]) {
    this.#rules = rules.map(({ pattern, replacement }) => ({
      pattern: compilePattern(pattern),
      replacement: Buffer.from(replacement),
    }));
  }

  /** By every rule, one after the other. Returns `record` itself when nothing matches. An empty match is none. */
  redact(record: Uint8Array): Uint8Array {
    let redacted = record;
    for (const { pattern, replacement } of this.#rules) {
      // Without where it matches the answer comes far sooner.
      if (pattern.test(redacted)) redacted = replaceMatches(redacted, pattern, replacement);
    }
    return redacted;
  }
}

function replaceMatches(record: Uint8Array, pattern: LinearPattern, replacement: Buffer): Uint8Array {
  const pieces: Uint8Array[] = [];
  let keptTo = 0;
  let matches = 0;
  pattern.forEachMatch(record, MATCHES_MAX + 1, (from, to) => {
    matches += 1;
    const isLast = matches > MATCHES_MAX;
    if (from === to && !isLast) return;
    pieces.push(record.subarray(keptTo, from), replacement);
    keptTo = isLast ? record.length : to;
  });
  if (pieces.length === 0) return record;
  pieces.push(record.subarray(keptTo));
  return Buffer.concat(pieces);
}
