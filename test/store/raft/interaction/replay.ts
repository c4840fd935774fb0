import { readFileSync } from "node:fs";
import { parseScript, runScript } from "../../../support/data-driven.ts";
import { ELECTION_TICKS } from "./add-nodes.ts";
import { ElectionTimeouts } from "./election-timeouts.ts";
import { Environment } from "./environment.ts";

const REPLAYS_MAX = 10;
const LOG_LINE = /^ *(DEBUG|INFO|WARN|ERROR|FATAL) /;

/**
 * Replays a script of etcd-io/raft's testdata on our core, and throws an AssertionError at the first command that prints
 * something else than it is to. The reference's log lines are dropped, which have no counterpart, and nothing else is.
 */
export function replay(file: string): void {
  const timeouts = foreseenTimeouts(file);
  timeouts.restart();
  const environment = new Environment(timeouts);
  runScript(file, (directive) => environment.handle(directive), { view: withoutLogLines });
}

/** The election timeouts that the script sets, each known from the beginning of the wait that it is for. */
function foreseenTimeouts(file: string): ElectionTimeouts {
  const timeouts = new ElectionTimeouts(ELECTION_TICKS);
  const directives = parseScript(file, readFileSync(file, "utf8"));
  const last = directives.findLastIndex(({ command }) => command === "set-randomized-election-timeout");
  for (let count = 0; count < REPLAYS_MAX; count += 1) {
    timeouts.restart();
    const environment = new Environment(timeouts);
    const isForeseen = directives.slice(0, last + 1).every((directive) => {
      environment.handle(directive);
      return timeouts.isUpToDate;
    });
    if (isForeseen) return timeouts;
  }
  throw new Error(`Cannot replay ${file}: its timeouts are not known after ${REPLAYS_MAX} replays`);
}

/** A command that printed its log alone would have printed "ok" without one. */
function withoutLogLines(output: string): string {
  const lines = output.split("\n");
  const rest = lines.filter((line) => !LOG_LINE.test(line)).join("\n");
  return rest === "" && output !== "" ? "ok\n" : rest;
}
