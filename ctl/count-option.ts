import { InvalidArgumentError } from "commander";
import { parseCount } from "./go-text.ts";
import { UsageError } from "./usage-error.ts";

/** Reads the number of an option; what is wrong with it is told together with the option's name. */
export function countOption(text: string): number {
  try {
    return parseCount(text);
  } catch (error) {
    throw error instanceof UsageError ? new InvalidArgumentError(error.message) : error;
  }
}
