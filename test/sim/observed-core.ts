import type { RaftCore, RaftStart, Ready } from "../../store/raft/types.ts";
import { DelegatingCore } from "./delegating-core.ts";
import { LogMirror } from "./log-mirror.ts";
import type { RaftLaws } from "./raft-laws.ts";

/** A core that is held to the laws at each round that it gives. */
export class ObservedCore extends DelegatingCore {
  readonly #laws: RaftLaws;
  readonly #id: bigint;
  readonly #log: LogMirror;
  /** The term whose leader was found to hold what it must. */
  #checkedTerm = 0;

  constructor(core: RaftCore, start: RaftStart, laws: RaftLaws) {
    super(core);
    this.#laws = laws;
    this.#id = start.id;
    this.#log = new LogMirror(start);
  }

  override ready(): Ready | undefined {
    const ready = super.ready();
    if (ready === undefined) return undefined;
    const { write, committed } = ready;
    if (write?.snapshot !== undefined) this.#log.reset(write.snapshot);
    for (const entry of write?.entries ?? []) this.#laws.holds(this.#id, entry, this.#log.append(entry));
    const { role, term } = this.status;
    if (role === "leader" && term > this.#checkedTerm) {
      this.#laws.leads(this.#id, term);
      this.#laws.leaderHolds(this.#id, term, this.#log);
      this.#checkedTerm = term;
    }
    for (const entry of committed) this.#laws.commits(this.#id, entry, term);
    return ready;
  }
}
