import { z } from "zod";
import { absolutePath } from "./absolute-path.ts";
import { lineRuleFields } from "./line-rules.ts";

/** Longest line shipped as one record; a longer one is cut into parts, with a WARN and a count, never silently. */
const MAX_LINE_BYTES_DEFAULT = 512 * 1024;

/** One entry of the collect config: which files go to which topic. The one place of its defaults and docs, with line-rules.ts. */
const entryFields = {
  /** A file or a glob, absolute. `*` and `?` stay within a folder name, `**` crosses folders. */
  path: absolutePath.max(4096),
  /** Kafka topic (a file name, for the file sink). */
  topic: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,249}$/, "1 to 249 characters of a-z A-Z 0-9 . _ -")
    .refine((topic) => topic !== "." && topic !== "..", 'a name other than "." and ".."'),
  /** Where a file that is present when the entry is first applied is read from; later files are read from 0. */
  from: z.enum(["beginning", "end"]).default("beginning"),
  /** Kafka headers `ip`, `path` and `pos` on each record. */
  headers: z.boolean().default(true),
  maxLineBytes: z
    .int()
    .min(1024)
    .max(16 * 1024 * 1024)
    .default(MAX_LINE_BYTES_DEFAULT),
  ...lineRuleFields,
};

export const entrySchema = z.strictObject(entryFields).superRefine((entry, context) => {
  if (entry.format === "raw" && Object.keys(entry.fields).length > 0) {
    context.addIssue({ code: "custom", path: ["fields"], message: 'none without "format": "json"' });
  }
});

export type Entry = z.output<typeof entrySchema>;
