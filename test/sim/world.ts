import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { AlarmType, DeleteRangeResponse } from "../../store/proto/gen/rpc.ts";
import { Violation } from "../support/violation.ts";
import { BulkClient } from "./bulk-client.ts";
import { Caller } from "./caller.ts";
import { Chronicle } from "./chronicle.ts";
import type { ClientWorld } from "./clients.ts";
import { EntryLedger, type FirstApplied } from "./entry-ledger.ts";
import { FaultDirector } from "./faults.ts";
import { KvClient } from "./kv-client.ts";
import { LeaseClient } from "./lease-client.ts";
import { LeaseLaws } from "./lease-laws.ts";
import { CLOCK_RATE_MAX, machineFaults } from "./machine-faults.ts";
import { memberFaults } from "./member-faults.ts";
import { MessageLog } from "./message-log.ts";
import { Network } from "./network.ts";
import { networkFaults } from "./network-faults.ts";
import { Operations } from "./operations.ts";
import { Operator } from "./operator.ts";
import type { Plan } from "./plan.ts";
import { RaftLaws } from "./raft-laws.ts";
import { SimCluster } from "./sim-cluster.ts";
import { PeerNetwork } from "./sim-transport.ts";
import { Timeline } from "./timeline.ts";
import { WatchClient } from "./watch-client.ts";
import { type Mutation, Watchers } from "./watchers.ts";

/** How many of the last messages a report has. */
const MESSAGES_KEPT = 80;

export interface WorldOptions {
  readonly plan: Plan;
  readonly mutation?: Mutation | undefined;
  readonly logger?: ((name: string, timeline: Timeline) => Logger) | undefined;
}

/** A cluster, its clients, what befalls it, and the laws that all of it is held to. */
export class World {
  readonly plan: Plan;
  readonly timeline = new Timeline();
  readonly laws = new RaftLaws();
  readonly log: MessageLog;
  readonly chronicle: Chronicle;
  readonly operations = new Operations();
  readonly leases = new LeaseLaws({ rateMax: CLOCK_RATE_MAX });
  readonly watchers: Watchers;
  readonly cluster: SimCluster;
  readonly director: FaultDirector;
  readonly operator: Operator;
  readonly kvClients: readonly KvClient[];
  readonly leaseClients: readonly LeaseClient[];
  readonly bulkClients: readonly BulkClient[];
  readonly watchClients: readonly WatchClient[];
  violation: unknown;
  #values = 0;

  constructor({ plan, mutation, logger }: WorldOptions) {
    const { chance } = plan;
    const { timeline } = this;
    this.plan = plan;
    this.log = new MessageLog(timeline, { kept: MESSAGES_KEPT });
    this.chronicle = new Chronicle((chapter) => this.operations.inHistory(chapter));
    const ledger = new EntryLedger((entry) => this.#firstApplied(entry));
    const network = new Network(timeline, chance.fork(), plan.weather);
    const { laws, chronicle, log } = this;
    this.watchers = new Watchers({
      timeline,
      laws,
      chronicle,
      ledger,
      mutation: mutation ?? {},
      logger: logger && ((name) => logger(name, timeline)),
    });
    const { watchers } = this;
    const onViolation = (violation: unknown) => {
      this.violation ??= violation;
    };
    this.cluster = new SimCluster({
      timeline,
      chance: chance.fork(),
      log,
      peers: new PeerNetwork(network, log, plan),
      watchers,
      tuning: plan.tuning,
      members: plan.members,
      onViolation,
    });
    const { cluster } = this;
    const process = cluster.outside;
    const caller = new Caller({ process, chance: chance.fork(), delayMs: plan.clientDelayMs });
    const mortals = {
      ids: () => cluster.ids(),
      leader: () => cluster.leader(),
      processOf: (id: bigint) => cluster.processOf(id),
      crash: (id: bigint) => cluster.crash(id, chance.hits(0.5) ? "kill" : "power"),
      start: (id: bigint) => cluster.start(id),
      onLeader: (listener: (id: bigint) => void) => laws.onLeader(listener),
      onHalfEntry: (listener: (id: bigint) => void) => watchers.onHalfEntry(listener),
      after: (ms: number, run: () => void) => process.after(ms, run),
    };
    const all = [
      ...networkFaults(network, mortals, chance.fork()),
      ...memberFaults(mortals, chance.fork()),
      ...machineFaults(cluster, caller, chance.fork()),
    ];
    const faults = all.filter(({ name }) => plan.hasFault(name));
    const { intensity } = plan;
    this.director = new FaultDirector({ process, chance: chance.fork(), faults, intensity, log });
    const { operatorPauseMs: pauseMs } = plan;
    this.operator = new Operator({ cluster, caller, chance: chance.fork(), log, pauseMs, onViolation });
    const client = (): ClientWorld => ({
      caller,
      chance: chance.fork(),
      chronicle,
      operations: this.operations,
      endpoints: () => cluster.endpoints(),
      keys: plan.keys,
      newValue: () => this.#newValue(),
      onViolation,
    });
    this.kvClients = times(plan.kvClients, () => new KvClient(client(), plan.load));
    this.leaseClients = times(
      plan.leaseClients,
      () => new LeaseClient(client(), this.leases, new KvClient(client(), plan.load)),
    );
    const { bulk } = plan;
    this.bulkClients = bulk === undefined ? [] : [new BulkClient(client(), this.leases, bulk)];
    this.watchClients = times(plan.watchClients, () => {
      const world = client();
      const one = { start: world.chance.pick(plan.keys), end: undefined };
      const span = world.chance.hits(0.5) ? { start: "a", end: "\xff" } : one;
      const slownessMs = world.chance.pick([0, 0, 50]);
      return new WatchClient(world, { span, slownessMs, ...plan.watchLoad });
    });
  }

  #newValue(): string {
    this.#values += 1;
    return `v${this.#values}`;
  }

  /** Who asked for what the log holds: the ends of leases, and deletions. */
  #firstApplied({ request, applied: { outcome } }: FirstApplied): void {
    if (outcome.kind !== "done") return;
    const { nowMs } = this.timeline;
    if (request?.$case === "alarm" && request.value.alarm === AlarmType.CORRUPT) {
      throw new Violation("equal state", "a member raised the alarm CORRUPT");
    }
    if (request?.$case === "leaseRevoke") this.leases.ended(request.value.ID, nowMs);
    if (request?.$case !== "deleteRange") return;
    const { deleted } = DeleteRangeResponse.decode(Buffer.from(outcome.response));
    const [key, end] = [request.value.key.toString("latin1"), request.value.rangeEnd.toString("latin1")];
    const range = end === "" ? key : `${key}..${end}`;
    if (deleted > 0) this.operations.deleted(range, outcome.revision, nowMs);
  }
}

/** What one member has committed of a bucket, in few bytes. */
export function digestOf(pairs: Iterable<readonly [string, Uint8Array]>): string {
  const hash = createHash("sha1");
  for (const [key, value] of pairs)
    hash.update(`${key.length} ${key} ${value.length} `, "latin1").update(value);
  return hash.digest("hex").slice(0, 16);
}

function times<T>(count: number, make: () => T): readonly T[] {
  return Array.from({ length: count }, make);
}
