import { type BigIntStats, statSync } from "node:fs";
import { errorCode } from "../../base/errors.ts";

/** Undefined: it is not there, or nobody may look at it. */
export function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (errorCode(error) !== undefined) return undefined;
    throw error;
  }
}
