import { invariant } from "../../../../base/invariant.ts";
import type { Directive } from "../../../support/data-driven.ts";
import type { Environment } from "./environment.ts";
import type { Member } from "./member.ts";

/** The arguments of a command, each of which has to be asked for: one that a command does not know is an error. */
export interface Arguments {
  /** The ones without a value, in order: the members that the command is about, or its words. */
  readonly plain: readonly string[];
  /** Values of the one with this name; empty when it is not there. */
  values(name: string): readonly string[];
  value(name: string): string | undefined;
  flag(name: string): boolean;
}

/** Throws when the directive has a named argument that is not in `known`. */
export function argumentsOf({ args, position }: Directive, known: readonly string[] = []): Arguments {
  const named = args.filter(({ values }) => values.length > 0);
  for (const { key } of named)
    invariant(known.includes(key), `the argument "${key}" in ${position} is known`);
  const values = (name: string) => named.findLast(({ key }) => key === name)?.values ?? [];
  const value = (name: string) => {
    const all = values(name);
    invariant(all.length <= 1, `the argument "${name}" in ${position} has one value`);
    return all[0];
  };
  const flag = (name: string) => {
    const given = value(name) ?? "false";
    invariant(given === "true" || given === "false", `"${name}" in ${position} is true or false`);
    return given === "true";
  };
  return {
    plain: args.filter((arg) => arg.values.length === 0).map(({ key }) => key),
    values,
    value,
    flag,
  };
}

/** The members that the plain arguments name. */
export function membersOf(environment: Environment, { plain }: Arguments): readonly Member[] {
  return plain.map((id) => environment.member(BigInt(id)));
}

/** The member that the first plain argument names. */
export function memberOf(environment: Environment, { plain }: Arguments): Member {
  return environment.member(BigInt(plain[0] ?? ""));
}
