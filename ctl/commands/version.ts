import type { Command } from "commander";
import { packageVersion } from "../../base/version.ts";
import type { Session } from "../session.ts";

/** Of the etcd interface that is spoken. */
const API_VERSION = "3.7";

/** `version` */
export function addVersion(program: Command, session: Session): void {
  program
    .command("version")
    .description("Prints the version of logctl")
    .action(() => {
      session.io.out(versionText());
    });
}

/** What `version` and `--version` print. */
export function versionText(): string {
  return `logctl version: ${packageVersion()}\nAPI version: ${API_VERSION}\n`;
}
