import { readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";

export const root: string = path.resolve(import.meta.dirname, "../..");
export const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

export interface Service {
  readonly command?: readonly string[];
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly healthcheck: { readonly test: readonly string[] };
}

export const compose = parse(read("docker-compose.yml"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
export const dockerfile: string = read("deploy/Dockerfile");
export const units: readonly { readonly name: string; readonly text: string }[] = [
  "logstore",
  "logagent",
].map((name) => ({ name, text: read(`deploy/systemd/${name}.service`) }));

/** Arguments of `ExecStart=` and the like, program first. */
export function unitCommands(text: string): readonly (readonly string[])[] {
  return [...text.matchAll(/^Exec\w+=(.*)$/gm)].map(([, line = ""]) => line.split(/\s+/));
}

/** Every command in these files, program first. */
export const commands: readonly (readonly string[])[] = [
  ...Object.values(compose.services).flatMap(({ command }) => (command === undefined ? [] : [command])),
  ...Object.values(compose.services).map(({ healthcheck }) => healthcheck.test.slice(1)),
  ...units.flatMap(({ text }) => unitCommands(text)),
  JSON.parse(/^CMD (.*)$/m.exec(dockerfile)?.[1] ?? "[]") as string[],
];

export const commandsOf = (program: string): readonly (readonly string[])[] =>
  commands.filter(([name]) => path.basename(name ?? "") === program).map((command) => command.slice(1));

/** The variables of a systemd EnvironmentFile. */
export function variablesOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
}
