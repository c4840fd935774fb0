import type { Random } from "../../../base/random.ts";
import type { RunSteps } from "../../../base/steps.ts";
import { runAtOnce } from "../../../base/steps.ts";
import { openStateMachine } from "../../../store/apply/state-machine.ts";
import type { Configure, OpenedStateMachine } from "../../../store/apply/types.ts";
import { MemBackend, MemFile } from "../../../store/backend/mem-backend.ts";
import { toConfChange } from "../../../store/membership/member-codec.ts";
import { unstarted } from "../../../store/membership/types.ts";
import { InternalRaftRequest } from "../../../store/proto/gen/internal.ts";
import {
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmType,
  PutRequest,
} from "../../../store/proto/gen/rpc.ts";
import { encodeConfChange } from "../../../store/raft/conf-change.ts";
import type { Entry } from "../../../store/raft/types.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { bytes, hashOf, type Request } from "./state-bed.ts";

/** The entries of one log, for any number of members to apply. */
export class Log {
  readonly entries: Entry[] = [];

  add(request: Request): Entry {
    const index = this.entries.length + 1;
    const header = { ID: BigInt(index), username: "", authRevision: 0 };
    const data = InternalRaftRequest.encode({ header, request }).finish();
    return this.#push({ term: 1 + Math.floor(index / 40), index, kind: "normal", data });
  }

  put(key: string, value: string, lease = 0n): Entry {
    return this.add({
      $case: "put",
      value: PutRequest.create({ key: bytes(key), value: bytes(value), lease }),
    });
  }

  delete(key: string, rangeEnd = ""): Entry {
    const value = { key: bytes(key), rangeEnd: bytes(rangeEnd), prevKv: false };
    return this.add({ $case: "deleteRange", value });
  }

  compact(revision: number): Entry {
    return this.add({ $case: "compaction", value: { revision, physical: false } });
  }

  grant(id: bigint, ttl = 60): Entry {
    return this.add({ $case: "leaseGrant", value: { ID: id, TTL: ttl } });
  }

  revoke(id: bigint): Entry {
    return this.add({ $case: "leaseRevoke", value: { ID: id } });
  }

  /** NOSPACE. */
  alarm(memberID: bigint, what: "raise" | "clear"): Entry {
    const { ACTIVATE, DEACTIVATE } = AlarmRequest_AlarmAction;
    const action = what === "raise" ? ACTIVATE : DEACTIVATE;
    const value = AlarmRequest.create({ action, memberID, alarm: AlarmType.NOSPACE });
    return this.add({ $case: "alarm", value });
  }

  addMember(id: bigint): Entry {
    const member = unstarted(id, [`http://10.0.0.${id}:2380`]);
    const data = encodeConfChange(toConfChange({ kind: "add", member, learnersMax: 1 }, 0n));
    const index = this.entries.length + 1;
    return this.#push({ term: 1 + Math.floor(index / 40), index, kind: "confChange", data });
  }

  #push(entry: Entry): Entry {
    this.entries.push(entry);
    return entry;
  }
}

/** A member's state over memory, with copies on a disk. */
export class MemberBed {
  readonly disk: MemoryDisk;
  readonly file = new MemFile();
  backend: MemBackend;
  opened: OpenedStateMachine;
  readonly #voters: bigint[] = [];

  constructor(disk = new MemoryDisk()) {
    this.disk = disk;
    this.backend = new MemBackend({ file: this.file, disk });
    this.opened = this.#open();
  }

  get state(): OpenedStateMachine["state"] {
    return this.opened.state;
  }

  apply(entry: Entry): void {
    runAtOnce(this.state.apply(entry, this.#configure));
  }

  applyUpTo(log: Log, index = log.entries.length): void {
    for (const entry of log.entries.slice(this.state.appliedIndex, index)) this.apply(entry);
  }

  async restart(): Promise<void> {
    await this.backend.close();
    this.backend = new MemBackend({ file: this.file, disk: this.disk });
    this.opened = this.#open();
  }

  /** Flushes, and copies to the disk that the other member has too. */
  async copyTo(path: string): Promise<void> {
    await this.disk.makeFolder("/copies");
    await this.state.flush();
    await this.backend.copy(path);
  }

  /** All that must be equal on two members, as text: the hash at every kept revision, leases with keys, alarms, members. */
  describe(): string {
    const { state, lessor } = this.opened;
    const lines = [`applied ${state.appliedIndex} of term ${state.appliedTerm}, revision ${state.revision}`];
    lines.push(`compacted ${state.compactRevision}`);
    for (let at = Math.max(1, state.compactRevision); at <= state.revision; at += 1) {
      lines.push(`hash ${at}: ${hashOf(this.opened, at).hash}`);
    }
    for (const lease of [...lessor.all()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
      lines.push(`lease ${lease.id} of ${lease.grantedTtlSeconds} s: ${[...lease.keys].sort().join(" ")}`);
    }
    for (const { memberID, alarm } of state.alarms) lines.push(`alarm ${alarm} of ${memberID}`);
    for (const { id, peerUrls } of state.members) lines.push(`member ${id}: ${peerUrls.join(" ")}`);
    lines.push(`voters ${state.confState.voters.join(" ")}`);
    return lines.join("\n");
  }

  readonly #configure: Configure = ({ changes }) => {
    for (const { kind, id } of changes) if (kind === "addVoter") this.#voters.push(id);
    const voters = [...new Set([...this.state.confState.voters, ...this.#voters])].sort((a, b) =>
      a < b ? -1 : 1,
    );
    return { voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  };

  #open(): OpenedStateMachine {
    return openStateMachine({ backend: this.backend, quotaBytes: -1, minLeaseTtlSeconds: 2 });
  }
}

/** A step a turn of the event loop, counted. */
export function countedSteps(): { readonly run: RunSteps; steps: number } {
  const counted = {
    steps: 0,
    run: (async (steps) => {
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        counted.steps += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }) as RunSteps,
  };
  return counted;
}

/** Adds a random request to the log, as of the state that `member` has. */
export function addRandom(log: Log, random: Random, member: MemberBed): void {
  const below = (limit: number) => Math.floor(random.next() * limit);
  const key = () => `k${below(12)}`;
  const { state } = member;
  const lease = () => BigInt(1 + below(5));
  switch (below(20)) {
    case 0:
      log.grant(lease());
      return;
    case 1:
      log.revoke(lease());
      return;
    case 2:
      log.compact(Math.max(1, state.revision - below(12)));
      return;
    case 3:
      // While NOSPACE is raised, puts are refused.
      log.alarm(2n, "raise");
      if (random.next() < 0.5) log.put(key(), "refused");
      log.alarm(2n, "clear");
      return;
    case 4:
    case 5:
      log.delete(key(), random.next() < 0.5 ? "" : "k5");
      return;
    case 6:
      log.addMember(BigInt(1 + below(5)));
      return;
    case 7:
    case 8:
      log.put(key(), `leased${below(100)}`, lease());
      return;
    default:
      log.put(key(), `v${below(1000)}`);
  }
}
