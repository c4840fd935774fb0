import { compilePattern } from "../../base/linear-pattern.ts";
import type { Multiline } from "../../conf/line-rules.ts";
import { stackTraceJoiner } from "./stack-traces.ts";

/** Nothing joins the record any more. */
export const CLOSED = -1;
/** For joiners with one state. */
const OPEN = 0;

/** Which lines belong together. A line is its bytes in UTF-8, without its newline; states are whole numbers. */
export interface LineJoiner {
  /** The state of a record that starts with this line. */
  begin(line: Uint8Array): number;
  /** The state with this line added, or undefined when it does not belong to the record. `state` is not {@link CLOSED}. */
  join(state: number, line: Uint8Array): number | undefined;
}

/** For an entry's field `multiline`; throws PatternError. */
export function lineJoiner({ preset, start, continuation, end }: Multiline): LineJoiner {
  if (start !== undefined) return startsWith(start);
  if (continuation !== undefined) return continuesWith(continuation);
  if (end !== undefined) return endsWith(end);
  return stackTraceJoiner(preset ?? "java");
}

function startsWith(text: string): LineJoiner {
  const pattern = compilePattern(text);
  return { begin: () => OPEN, join: (_state, line) => (pattern.test(line) ? undefined : OPEN) };
}

function continuesWith(text: string): LineJoiner {
  const pattern = compilePattern(text);
  return { begin: () => OPEN, join: (_state, line) => (pattern.test(line) ? OPEN : undefined) };
}

function endsWith(text: string): LineJoiner {
  const pattern = compilePattern(text);
  const stateAfter = (line: Uint8Array) => (pattern.test(line) ? CLOSED : OPEN);
  return { begin: stateAfter, join: (_state, line) => stateAfter(line) };
}
