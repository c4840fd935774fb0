import { z } from "zod";
import { patternProblem } from "../base/linear-pattern.ts";
import { encodingNamed, UTF_8 } from "./encodings.ts";

/** Patterns, redactions or static fields of one entry. */
const RULES_MAX = 32;
/** What a JSON record holds besides an entry's static fields. */
const ENVELOPE_FIELDS = ["time", "ip", "path", "offset", "line"];
const FIELD_KEY = /^field:[^\0]{1,256}$/;
const DAY_MS = 86_400_000;
const YEAR_SECONDS = 31_536_000;

/** A regular expression in RE2's syntax: linear time, no back-references, no look-around. */
const pattern = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    const problem = patternProblem(text);
    if (problem !== undefined) {
      context.addIssue({ code: "custom", message: `a pattern that compiles: ${problem}` });
    }
  });

/** One of the ways to say which lines belong together, and when they are shipped although more may come. */
const multilineSchema = z
  .strictObject({
    /** Stack traces of a language. */
    preset: z.enum(["java", "python", "go", "node"]).optional(),
    /** Matches the first line of a record. */
    start: pattern.optional(),
    /** Matches a line that belongs to the one before. */
    continuation: pattern.optional(),
    /** Matches the last line of a record. */
    end: pattern.optional(),
    /** More lines are shipped in marked parts. */
    maxLines: z.int().min(2).max(1000).default(500),
    /** More bytes are shipped in marked parts; one line may have more. */
    maxBytes: z
      .int()
      .min(1024)
      .max(16 * 1024 * 1024)
      .default(512 * 1024),
    /** Without another line for so long the record is shipped as it is. */
    timeoutMs: z.int().min(100).max(DAY_MS).default(2000),
  })
  .superRefine(({ preset, start, continuation, end }, context) => {
    const given = [preset, start, continuation, end].filter((way) => way !== undefined).length;
    if (given !== 1) {
      context.addIssue({
        code: "custom",
        message: `one of "preset", "start", "continuation" and "end" in it (${given} are given)`,
      });
    }
  });

const redactionSchema = z.strictObject({
  pattern,
  /** Stands for each match, as it is: it refers to no groups. */
  replacement: z.string().max(1024).default("***"),
});

const staticFields = z.record(z.string(), z.string().max(4096)).superRefine((fields, context) => {
  const names = Object.keys(fields);
  if (names.length > RULES_MAX) {
    context.addIssue({ code: "custom", message: `${RULES_MAX} fields or less (${names.length} are given)` });
  }
  for (const name of names) {
    const message = ENVELOPE_FIELDS.includes(name)
      ? `a name other than ${ENVELOPE_FIELDS.join(", ")}`
      : `a name of 1 to 64 characters of a-z A-Z 0-9 _ . - @`;
    if (ENVELOPE_FIELDS.includes(name) || !/^[\w.@-]{1,64}$/.test(name)) {
      context.addIssue({ code: "custom", path: [name], message });
    }
  }
});

/** The fields of an entry that say how lines are found and what becomes of them. All optional; without them lines are not looked at. */
export const lineRuleFields = {
  /** What becomes of a line longer than `maxLineBytes`: parts with the header `part`, or its beginning with "[truncated]" behind. */
  longLines: z.enum(["cut", "truncate"]).default("cut"),
  /** A last line without its newline is shipped when nothing was written for so long; without it when its file is finished. */
  partialLineTimeoutMs: z.int().min(100).max(DAY_MS).optional(),
  /** A label of the WHATWG Encoding Standard; a file in another encoding than UTF-8 is shipped in UTF-8. */
  encoding: z
    .string()
    .refine(
      (label) => encodingNamed(label) !== undefined,
      "an encoding that is known, such as utf-16le, gbk, shift_jis, latin1",
    )
    .transform((label) => encodingNamed(label) ?? label)
    .default(UTF_8),
  /** Lines that make up one record. */
  multiline: multilineSchema.optional(),
  /** Only records that match one of them are shipped. */
  include: z.array(pattern).max(RULES_MAX).default([]),
  /** Records that match one of them are not shipped. */
  exclude: z.array(pattern).max(RULES_MAX).default([]),
  /** What is replaced in each record. */
  redact: z.array(redactionSchema).max(RULES_MAX).default([]),
  /** `json`: an object with time, ip, path, offset, line, and the entry's `fields`. */
  format: z.enum(["raw", "json"]).default("raw"),
  /** Written into each JSON record. */
  fields: staticFields.default({}),
  /** The key of a record, which chooses its partition. */
  key: z
    .string()
    .refine(
      (key) => key === "none" || key === "path" || FIELD_KEY.test(key),
      '"none", "path" or "field:<name>"',
    )
    .default("none"),
  /** Files that were last written longer ago when they are first seen are left alone until something is written to them. */
  ignoreOlderThanSeconds: z
    .int()
    .min(1)
    .max(10 * YEAR_SECONDS)
    .optional(),
  /** Reading is slowed down to this; nothing is dropped. */
  rateLimit: z
    .strictObject({
      bytesPerSecond: z
        .int()
        .min(1024)
        .max(1024 ** 4)
        .optional(),
      linesPerSecond: z.int().min(1).max(1_000_000_000).optional(),
    })
    .refine(
      ({ bytesPerSecond, linesPerSecond }) => bytesPerSecond !== undefined || linesPerSecond !== undefined,
      '"bytesPerSecond", "linesPerSecond" or both in it',
    )
    .optional(),
};

export type Multiline = z.output<typeof multilineSchema>;
export type Redaction = z.output<typeof redactionSchema>;
