import { Command, Help, type Option } from "commander";
import { watchExecArgs } from "./arguments.ts";
import { addAgents } from "./commands/agents.ts";
import { addAlarm } from "./commands/alarm.ts";
import { addCompaction } from "./commands/compaction.ts";
import { addDel } from "./commands/del.ts";
import { addEndpoint } from "./commands/endpoint.ts";
import { addGet } from "./commands/get.ts";
import { addLease } from "./commands/lease.ts";
import { addMember } from "./commands/member.ts";
import { addMoveLeader } from "./commands/move-leader.ts";
import { addPut } from "./commands/put.ts";
import { addTxn } from "./commands/txn.ts";
import { addVersion, versionText } from "./commands/version.ts";
import { addWatch } from "./commands/watch.ts";
import { addGlobalOptions } from "./global-options.ts";
import type { Io } from "./io.ts";
import { Session } from "./session.ts";

const VERBS = [
  addPut,
  addGet,
  addDel,
  addTxn,
  addWatch,
  addCompaction,
  addLease,
  addMember,
  addMoveLeader,
  addEndpoint,
  addAlarm,
  addAgents,
  addVersion,
] as const;

/** The whole command line: the global options, and one file in commands/ for each verb. */
export function buildProgram(
  argv: readonly string[],
  io: Io,
): { readonly program: Command; readonly session: Session } {
  const program = new Command("logctl")
    .description("Talks to the store that drives logagent, or to any etcd, as etcdctl does.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      outputError: (text, write) => write(text.replace(/^error: /, "Error: ")),
    });
  program.version(versionText().trimEnd(), "--version", "print the version, as `version` does");
  program.configureHelp({ optionDescription });
  addGlobalOptions(program);
  const session = new Session(program, io, watchExecArgs(argv));
  for (const addVerb of VERBS) addVerb(program, session);
  return { program, session };
}

/** As etcdctl's help does it: a default that is false, empty or 0 goes without saying. */
function optionDescription(option: Option): string {
  const isPlain = [false, "", 0].includes(option.defaultValue);
  const shown: Option = isPlain ? Object.assign(Object.create(option), { defaultValue: undefined }) : option;
  return new Help().optionDescription(shown);
}
