import { errorMessage } from "../../base/errors.ts";
import { type Member, unstarted } from "../../store/membership/types.ts";
import { Violation } from "../support/violation.ts";
import { closeEndpoint, type Endpoint } from "./caller.ts";
import type { Chance } from "./chance.ts";
import type { MessageLog } from "./message-log.ts";
import { SimMachine } from "./sim-machine.ts";
import { type MemberTuning, SimMember } from "./sim-member.ts";
import { SimProcess } from "./sim-process.ts";
import type { PeerNetwork } from "./sim-transport.ts";
import type { Timeline } from "./timeline.ts";
import type { Watchers } from "./watchers.ts";

/** Until whoever runs a member starts it again. */
const RESTART_MS = 1500;

export interface SimClusterOptions {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly log: MessageLog;
  readonly peers: PeerNetwork;
  readonly watchers: Watchers;
  readonly tuning: MemberTuning;
  readonly members: number;
  /** What no operator would understand: the run is over. */
  readonly onViolation: (violation: unknown) => void;
}

/** The machines of a cluster, their members' lives, and an operator who starts again what ended by itself. */
export class SimCluster {
  /** Of clients and operator, who never die. */
  readonly outside: SimProcess;
  readonly machines = new Map<bigint, SimMachine>();
  readonly #options: SimClusterOptions;
  readonly #firstMembers: readonly Member[];
  readonly #endpoints = new Map<bigint, Endpoint | undefined>();
  #processes = 0;

  constructor(options: SimClusterOptions) {
    this.#options = options;
    this.outside = this.#process("outside");
    const ids = Array.from({ length: options.members }, (_, i) => BigInt(0xa1 + i));
    this.#firstMembers = ids.map((id) => unstarted(id, [urlOf(id)]));
    for (const id of ids) {
      this.#addMachine(id, this.#firstMembers);
      this.start(id);
    }
  }

  /** Machines that are in use, up or down. */
  ids(): readonly bigint[] {
    return [...this.machines.values()].filter(({ isRetired }) => !isRetired).map(({ id }) => id);
  }

  /** The newest leader there is. */
  leader(): bigint | undefined {
    const leaders = this.living().filter(({ replica }) => replica.status.role === "leader");
    return leaders.sort((a, b) => b.replica.status.term - a.replica.status.term)[0]?.replica.memberId;
  }

  /** Members that are open; paused ones among them. */
  living(): readonly SimMember[] {
    return [...this.machines.values()].flatMap(({ member }) => member ?? []);
  }

  endpoints(): readonly (Endpoint | undefined)[] {
    return this.ids().map((id) => this.#endpoints.get(id));
  }

  processOf(id: bigint): SimProcess | undefined {
    return this.machines.get(id)?.process;
  }

  start(id: bigint): void {
    const machine = this.machines.get(id);
    if (machine === undefined || machine.process !== undefined || machine.isRetired || machine.keptDown > 0)
      return;
    const { chance, peers, watchers, tuning, log } = this.#options;
    const process = this.#process(machine.name);
    machine.process = process;
    const isFirst = this.#firstMembers.some((member) => member.id === id);
    log.note(`${machine.name} starts`);
    const failuresBefore = machine.disk.failures;
    const onFatal = (error: unknown) =>
      this.#ended(machine, process, error, machine.disk.failures > failuresBefore);
    process.after(0, () => {
      SimMember.open({
        machine,
        process,
        chance: chance.fork(),
        peers,
        watchers,
        tuning,
        firstMembers: isFirst ? this.#firstMembers : [],
        onFatal,
        onRemoved: () => this.#removed(machine, process),
      }).then((member) => {
        machine.member = member;
        this.#endpoints.set(id, {
          name: machine.name,
          process,
          table: member.services.table,
          isClosed: false,
          connections: new Set(),
        });
      }, onFatal);
    });
  }

  /** SIGKILL, or the power goes and takes with it what was not synced. */
  crash(id: bigint, kind: "kill" | "power"): void {
    const machine = this.machines.get(id);
    if (machine?.process === undefined) return;
    machine.process.kill();
    machine.process = undefined;
    machine.member = undefined;
    this.#endpoints.set(id, undefined);
    if (kind === "power") machine.disk.powerCut();
  }

  /** SIGTERM; SIGKILL for one that is not open yet, or takes too long. */
  stop(id: bigint): void {
    const machine = this.machines.get(id);
    const process = machine?.process;
    if (process === undefined) return;
    const kill = () => {
      if (machine?.process !== process) return;
      this.crash(id, "kill");
      this.outside.after(RESTART_MS, () => this.start(id));
    };
    const member = machine?.member;
    if (member === undefined) {
      kill();
      return;
    }
    process.after(0, () => {
      const endpoint = this.#endpoints.get(id);
      if (endpoint !== undefined) closeEndpoint(endpoint);
      member.close().then(
        () => this.outside.after(0, kill),
        () => this.outside.after(0, kill),
      );
    });
    this.outside.after(10_000, kill);
  }

  /** A machine for a member that joins, started. */
  join(id: bigint, knownMembers: readonly Member[]): void {
    if (this.machines.has(id)) return;
    this.#addMachine(id, knownMembers);
    this.start(id);
  }

  /** It is never started again. */
  retire(id: bigint): void {
    const machine = this.machines.get(id);
    if (machine === undefined) return;
    machine.isRetired = true;
    this.crash(id, "kill");
  }

  #addMachine(id: bigint, knownMembers: readonly Member[]): SimMachine {
    const { timeline, chance } = this.#options;
    const machine = new SimMachine({ id, timeline, chance: chance.fork(), knownMembers });
    this.machines.set(id, machine);
    return machine;
  }

  #process(name: string): SimProcess {
    this.#processes += 1;
    return new SimProcess({ name, number: this.#processes, timeline: this.#options.timeline });
  }

  /** A member ended itself, which only a disk that failed it excuses. */
  #ended(machine: SimMachine, process: SimProcess, error: unknown, isExcused: boolean): void {
    if (process.isDead) return;
    const { onViolation, log } = this.#options;
    if (error instanceof Violation || !isExcused) {
      const stack = error instanceof Error ? error.stack : String(error);
      const violation = new Violation("no reason to end", `${machine.name} ended itself: ${stack}`);
      onViolation(error instanceof Violation ? error : violation);
      return;
    }
    log.note(`${machine.name} ended itself: ${errorMessage(error)}`);
    this.outside.after(0, () => {
      if (machine.process !== process) return;
      // What the disk has after a failed write is anybody's guess.
      this.crash(machine.id, "power");
      this.outside.after(RESTART_MS, () => this.start(machine.id));
    });
  }

  #removed(machine: SimMachine, process: SimProcess): void {
    if (machine.isRetired) return;
    machine.isRetired = true;
    this.#options.log.note(`${machine.name} learnt that it is removed`);
    process.after(1000, () => this.stop(machine.id));
  }

  /** At once, and whatever the network does: what members say beside the log promises nothing. */
}

function urlOf(id: bigint): string {
  return `http://${id.toString(16)}:2380`;
}
