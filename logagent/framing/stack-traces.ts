import { compilePattern, type LinearPattern } from "../../base/linear-pattern.ts";
import type { Multiline } from "../../conf/line-rules.ts";
import type { LineJoiner } from "./line-joiner.ts";

/** In state `from` (absent: any) a line that matches `pattern` joins, and the state is `to`. The first rule that applies counts. */
interface Rule {
  readonly from?: readonly string[];
  readonly pattern: string;
  readonly to: string;
}

interface Trace {
  /** What the first line of a record may be; otherwise its state is "line". */
  readonly begin: readonly Rule[];
  readonly join: readonly Rule[];
}

/** Facts: what the runtimes of the languages print. */
const TRACES: Readonly<Record<NonNullable<Multiline["preset"]>, Trace>> = {
  java: {
    begin: [],
    join: [
      { pattern: `^\\s+at\\s`, to: "trace" },
      { pattern: `^\\s+\\.\\.\\. \\d+ (more|common frames omitted)`, to: "trace" },
      { pattern: `^\\s*(Caused by|Suppressed|Wrapped by): `, to: "trace" },
      { pattern: `^\\s*\\[CIRCULAR REFERENCE`, to: "trace" },
      { pattern: `^\\s+- (locked|waiting|parking|eliminated) `, to: "trace" },
      // The first line of a trace below the message that was logged with it: a class by its full name.
      { from: ["line"], pattern: `^[\\w$]+(\\.[\\w$]+)+(Exception|Error|Throwable)(:|$)`, to: "exception" },
    ],
  },
  python: {
    begin: [{ pattern: `^Traceback \\(most recent call last\\):`, to: "frames" }],
    join: [
      { from: ["line", "cause"], pattern: `^\\s*Traceback \\(most recent call last\\):`, to: "frames" },
      { from: ["frames"], pattern: `^\\s`, to: "frames" },
      // Whatever stands first below the frames says what was raised.
      { from: ["frames"], pattern: `^\\S`, to: "raised" },
      { from: ["raised"], pattern: `^$`, to: "blank" },
      {
        from: ["blank"],
        pattern: `^(During handling of the above exception|The above exception was the direct cause)`,
        to: "cause",
      },
      { from: ["cause"], pattern: `^$`, to: "cause" },
    ],
  },
  go: {
    begin: [
      { pattern: `^(panic|fatal error): `, to: "panic" },
      { pattern: `^goroutine \\d+ .*\\[.*\\]:$`, to: "functions" },
    ],
    join: [
      { from: ["line"], pattern: `^goroutine \\d+ .*\\[.*\\]:$`, to: "functions" },
      { from: ["panic", "blank"], pattern: `^goroutine \\d+ .*\\[.*\\]:$`, to: "functions" },
      { from: ["panic"], pattern: `^(\\[signal |\\tpanic: |$)`, to: "panic" },
      { from: ["blank"], pattern: `^$`, to: "blank" },
      { from: ["functions"], pattern: `^(created by \\S|\\S.*\\(.*\\)$)`, to: "file" },
      {
        from: ["functions"],
        pattern: `^\\.\\.\\.\\d* ?additional frames elided\\.\\.\\.$|^\\.\\.\\.additional frames elided`,
        to: "functions",
      },
      { from: ["functions"], pattern: `^$`, to: "blank" },
      { from: ["file"], pattern: `^\\t\\S.*:\\d+`, to: "functions" },
    ],
  },
  node: {
    begin: [{ pattern: `^(/|file://|node:|[A-Z]:\\\\).*:\\d+$`, to: "source" }],
    join: [
      { from: ["properties"], pattern: `^\\s+\\S`, to: "properties" },
      { pattern: `^\\s+at\\s.*\\{$`, to: "properties" },
      { pattern: `^\\s+at\\s`, to: "trace" },
      { from: ["properties"], pattern: `^\\}$`, to: "trace" },
      // An error that nobody caught: the line of source it comes from, where in it, and a blank line stand above.
      { from: ["source"], pattern: `^\\s*\\^+\\s*$`, to: "caret" },
      { from: ["source"], pattern: `^\\s*throw\\b|^\\s+\\S`, to: "source" },
      { from: ["caret"], pattern: `^$`, to: "caret" },
      { from: ["caret"], pattern: `^\\S`, to: "trace" },
    ],
  },
};

interface CompiledRule {
  readonly from: ReadonlySet<number> | undefined;
  readonly pattern: LinearPattern;
  readonly to: number;
}

const joiners = new Map<string, LineJoiner>();

/** Joins the lines of a stack trace, and joins them to the line that was logged with it. */
export function stackTraceJoiner(language: NonNullable<Multiline["preset"]>): LineJoiner {
  let joiner = joiners.get(language);
  if (joiner === undefined) {
    joiner = compileTrace(TRACES[language]);
    joiners.set(language, joiner);
  }
  return joiner;
}

function compileTrace({ begin, join }: Trace): LineJoiner {
  const names = [...new Set(["line", ...[...begin, ...join].map(({ to }) => to)])];
  const compileRule = ({ from, pattern, to }: Rule): CompiledRule => ({
    from: from === undefined ? undefined : new Set(from.map((name) => names.indexOf(name))),
    pattern: compilePattern(pattern),
    to: names.indexOf(to),
  });
  const beginRules = begin.map(compileRule);
  const joinRules = join.map(compileRule);
  const after = (rules: readonly CompiledRule[], state: number, line: Uint8Array) =>
    rules.find((rule) => (rule.from === undefined || rule.from.has(state)) && rule.pattern.test(line))?.to;
  return {
    begin: (line) => after(beginRules, 0, line) ?? 0,
    join: (state, line) => after(joinRules, state, line),
  };
}
