import { z } from "zod";

/** A path of a file or a folder, or a pattern of them. */
export const absolutePath = z
  .string()
  .refine((path) => path.startsWith("/"), "an absolute path")
  .refine((path) => !path.includes("\0"), "a path without NUL, which no file name has");
