import { parseInt64 } from "./go-text.ts";
import { UsageError } from "./usage-error.ts";

/** A lease id in hexadecimal. Throws UsageError in etcdctl's words, which start with `what`. */
export function parseLeaseId(text: string, what: "bad lease ID" | "bad lease ID arg"): bigint {
  try {
    return parseInt64(text, 16);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${what} (${error.message}), expecting ID in Hex`);
  }
}
