import { invariant } from "../../../../base/invariant.ts";
import type { Directive } from "../../../support/data-driven.ts";
import { commands } from "./commands.ts";
import type { ElectionTimeouts } from "./election-timeouts.ts";
import type { Member } from "./member.ts";
import { Output } from "./output.ts";
import type { Parcel } from "./parcel.ts";

/** The cluster that a script speaks to: members with ids from 1, and what is on its way between them. */
export class Environment {
  readonly members: Member[] = [];
  readonly output = new Output();
  readonly timeouts: ElectionTimeouts;
  #parcels: readonly Parcel[] = [];

  constructor(timeouts: ElectionTimeouts) {
    this.timeouts = timeouts;
  }

  /** Runs one command and returns what it prints. */
  handle(directive: Directive): string {
    const command = commands.get(directive.command);
    invariant(command !== undefined, `the command "${directive.command}" is known`);
    const refusal = command(this, directive);
    const text = this.output.take();
    // A refusal is printed at every log level.
    return text + (refusal ?? "") || "ok";
  }

  member(id: bigint): Member {
    const member = this.members[Number(id) - 1];
    invariant(member !== undefined, `member ${id} is one of ${this.members.length}`);
    return member;
  }

  send(parcels: readonly Parcel[]): void {
    this.#parcels = [...this.#parcels, ...parcels];
  }

  /** What is on its way to a member. */
  pending(to: bigint): readonly Parcel[] {
    return this.#parcels.filter((parcel) => parcel.shown.to === to);
  }

  /** Takes parcels out of the network, in the order in which they were sent. */
  take(which: (parcel: Parcel) => boolean): readonly Parcel[] {
    const taken = this.#parcels.filter(which);
    this.#parcels = this.#parcels.filter((parcel) => !which(parcel));
    return taken;
  }
}
