import { type ConfChange, encodeConfChange } from "../../store/raft/conf-change.ts";
import type { Message } from "../../store/raft/message.ts";
import type { ConfState, Entry, RaftCore } from "../../store/raft/types.ts";
import { Violation } from "../support/violation.ts";
import { Chance } from "./chance.ts";
import { CoreDisk, type ListSnapshot } from "./core-disk.ts";
import { CoreMember } from "./core-member.ts";
import type { CorePlan } from "./core-plan.ts";
import { MessageLog } from "./message-log.ts";
import { fairWeather, Network } from "./network.ts";
import { RaftLaws } from "./raft-laws.ts";
import { SimProcess } from "./sim-process.ts";
import { Timeline } from "./timeline.ts";

interface Place {
  readonly disk: CoreDisk;
  member: CoreMember | undefined;
}

/** A proposal or a read that waits, and what it has to see. */
interface Asked {
  readonly member: CoreMember;
  readonly atIndex: number;
}

/** After this the sender of a snapshot gives up. */
const SNAPSHOT_MS_MAX = 3000;

export interface CoreClusterOptions {
  readonly seed: number;
  readonly plan: CorePlan;
  readonly wrap?: ((core: RaftCore) => RaftCore) | undefined;
}

/** Bare cores on a network: no WAL, no store. The fast simulator of the core alone. */
export class CoreCluster {
  readonly timeline = new Timeline();
  readonly laws = new RaftLaws();
  readonly log: MessageLog;
  readonly chance: Chance;
  readonly network: Network;
  /** Of the clients and the operator, who never die. */
  readonly outside: SimProcess;
  readonly places = new Map<bigint, Place>();
  acknowledged = 0;
  readsServed = 0;
  readonly #options: CoreClusterOptions;
  #processes = 0;
  #values = 0;
  #contexts = 0n;
  readonly #proposed = new Map<string, CoreMember>();
  readonly #indexOf = new Map<string, number>();
  readonly #reads = new Map<bigint, Asked>();
  /** Highest index whose proposer was told. */
  #acknowledgedIndex = 0;
  #nextId: bigint;

  constructor(options: CoreClusterOptions) {
    this.#options = options;
    this.chance = new Chance(options.seed);
    this.log = new MessageLog(this.timeline, { kept: 60 });
    this.network = new Network(this.timeline, this.chance.fork(), fairWeather(options.plan.delayMs));
    this.outside = this.#process("outside");
    const ids = Array.from({ length: options.plan.members }, (_, i) => BigInt(i + 1));
    this.#nextId = BigInt(options.plan.members + 1);
    const bootstrap = ids.map((id, i) => addVoter(id, i + 1));
    for (const id of ids) {
      this.places.set(id, { disk: new CoreDisk(bootstrap), member: undefined });
      this.start(id);
    }
  }

  ids(): readonly bigint[] {
    return [...this.places.keys()];
  }

  get members(): readonly CoreMember[] {
    return [...this.places.values()].flatMap(({ member }) => member ?? []);
  }

  leader(): bigint | undefined {
    const leaders = this.members.filter(({ core }) => core.status.role === "leader");
    return leaders.sort((a, b) => b.core.status.term - a.core.status.term)[0]?.id;
  }

  start(id: bigint): void {
    const place = this.places.get(id);
    if (place === undefined || place.member !== undefined) return;
    place.member = new CoreMember({
      id,
      disk: place.disk,
      process: this.#process(id.toString(16)),
      chance: this.chance.fork(),
      laws: this.laws,
      tickMs: 100,
      limits: this.#options.plan.limits,
      send: (messages, snapshot, member) => this.#send(member, messages, snapshot),
      onApplied: (entry, member) => this.#applied(entry, member),
      onRead: (context, member) => this.#served(context, member),
      ...(this.#options.wrap && { wrap: this.#options.wrap }),
    });
  }

  crash(id: bigint): void {
    const place = this.places.get(id);
    place?.member?.process.kill();
    place?.member?.crash();
    if (place !== undefined) place.member = undefined;
  }

  propose(id: bigint): void {
    const member = this.places.get(id)?.member;
    if (member === undefined || member.process.fate !== "alive") return;
    this.#values += 1;
    const value = `v${this.#values}`.padEnd(this.chance.hits(0.1) ? 300 : 1, ".");
    if (member.core.propose(Buffer.from(value)) !== "accepted") return;
    this.#proposed.set(value, member);
    member.schedule();
  }

  read(id: bigint): void {
    const member = this.places.get(id)?.member;
    if (member === undefined || member.process.fate !== "alive") return;
    this.#contexts += 1n;
    if (member.core.readIndex(this.#contexts) !== "accepted") return;
    this.#reads.set(this.#contexts, { member, atIndex: this.#acknowledgedIndex });
    member.schedule();
  }

  /** Through the member that it is asked of; lost without a word when that has no leader. */
  change(at: bigint, change: ConfChange): void {
    const member = this.places.get(at)?.member;
    if (member === undefined || member.process.fate !== "alive") return;
    member.core.proposeConfChange(change);
    member.schedule();
  }

  /** A member that joins: no log, no configuration. */
  join(): bigint {
    const id = this.#nextId;
    this.#nextId += 1n;
    this.places.set(id, { disk: new CoreDisk([]), member: undefined });
    this.start(id);
    return id;
  }

  /** The configuration as the member knows it that has applied most. */
  confState(): ConfState | undefined {
    return [...this.members].sort((a, b) => b.appliedIndex - a.appliedIndex)[0]?.confState;
  }

  #process(name: string): SimProcess {
    this.#processes += 1;
    return new SimProcess({ name, number: this.#processes, timeline: this.timeline });
  }

  #send(sender: CoreMember, messages: readonly Message[], snapshot: ListSnapshot): void {
    for (const message of messages) {
      if (message.kind === "snapshot") {
        this.#sendSnapshot(sender, message, snapshot);
        continue;
      }
      const receiver = this.places.get(message.to)?.member;
      if (receiver === undefined) continue;
      this.network.send(sender, receiver, () => {
        this.log.delivered(message);
        receiver.receive(message, undefined);
      });
    }
  }

  /** As a transport does, the sender is told how it went, sooner or later. */
  #sendSnapshot(sender: CoreMember, message: Message, content: ListSnapshot): void {
    const receiver = this.places.get(message.to)?.member;
    let isOver = false;
    const report = (outcome: "delivered" | "failed") => {
      if (isOver) return;
      isOver = true;
      sender.process.after(1, () => {
        sender.core.reportSnapshot(message.to, outcome);
        sender.schedule();
      });
    };
    sender.process.after(SNAPSHOT_MS_MAX, () => report("failed"));
    if (receiver === undefined) return;
    this.network.send(sender, receiver, () => {
      this.log.delivered(message);
      receiver.receive(message, content);
      report("delivered");
    });
  }

  #applied(entry: Entry, member: CoreMember): void {
    const value = Buffer.from(entry.data).toString();
    if (entry.kind !== "normal" || value === "") return;
    const known = this.#indexOf.get(value);
    if (known !== undefined && known !== entry.index) {
      throw new Violation(
        "once",
        `${value.slice(0, 9)} was proposed once and is at ${known} and ${entry.index}`,
      );
    }
    this.#indexOf.set(value, entry.index);
    if (this.#proposed.get(value) !== member) return;
    this.#proposed.delete(value);
    this.acknowledged += 1;
    this.#acknowledgedIndex = Math.max(this.#acknowledgedIndex, entry.index);
  }

  #served(context: bigint, member: CoreMember): void {
    const asked = this.#reads.get(context);
    if (asked === undefined || asked.member !== member) return;
    this.#reads.delete(context);
    this.readsServed += 1;
    if (member.appliedIndex >= asked.atIndex) return;
    throw new Violation(
      "linearizable read",
      `${member.id.toString(16)} serves a read at ${member.appliedIndex}; ${asked.atIndex} was acknowledged before it came`,
    );
  }
}

function addVoter(id: bigint, index: number): Entry {
  const change: ConfChange = {
    transition: "auto",
    changes: [{ kind: "addVoter", id }],
    context: new Uint8Array(0),
  };
  return { term: 1, index, kind: "confChange", data: encodeConfChange(change) };
}
