import type { Member } from "../../store/membership/types.ts";
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  type Member as MemberMessage,
  MemberPromoteRequest,
  MemberRemoveRequest,
} from "../../store/proto/gen/rpc.ts";
import type { Answer, Caller } from "./caller.ts";
import type { Chance } from "./chance.ts";
import type { MessageLog } from "./message-log.ts";
import type { SimCluster } from "./sim-cluster.ts";

const CLUSTER = "/etcdserverpb.Cluster/";
const TIMEOUT_MS = 5000;
const MEMBERS_MAX = 5;
/**
 * Of fewer none is removed: should the one of two that is removed end before the other has learnt that the change is
 * committed, the other waits for its vote for ever (etcd-io/raft doc.go warns of clusters of two).
 */
const VOTERS_MIN = 3;
/** Between two looks at whether it is to stop. */
const LOOK_MS = 500;

export interface OperatorOptions {
  readonly cluster: SimCluster;
  readonly caller: Caller;
  readonly chance: Chance;
  readonly log: MessageLog;
  /** Between two changes, typically. */
  readonly pauseMs: number;
  readonly onViolation: (violation: unknown) => void;
}

/**
 * Changes who belongs to the cluster, as an operator does by hand: adds members and starts them, promotes learners, removes
 * members, replaces one that lost its disk. What came of a call that was not answered is seen in the list of members.
 */
export class Operator {
  readonly #options: OperatorOptions;
  /** Their disks are lost; they are to be removed. */
  readonly #lost = new Set<bigint>();
  #isOver = false;
  #isSettled = true;
  #added = 0;
  changes = 0;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  start(): void {
    this.#isSettled = false;
    this.#run().catch(this.#options.onViolation);
  }

  /** Changes nothing more, but ends what it has begun. */
  stop(): void {
    this.#isOver = true;
  }

  /** The machines are those of the members, and no lost one is a member. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  async #run(): Promise<void> {
    const { caller, chance, pauseMs } = this.#options;
    while (!this.#isOver || !this.#isSettled) {
      const nextMs = caller.process.nowMs + chance.longTail(pauseMs);
      do await caller.process.delay(LOOK_MS);
      while (!this.#isOver && caller.process.nowMs < nextMs);
      const members = await this.#list({ linearizable: true });
      if (members === undefined) {
        // A second voter whose addition was not answered may be all that the first one waits for.
        this.#startMissing((await this.#list({ linearizable: false })) ?? []);
        continue;
      }
      this.#isSettled = this.#reconcile(members);
      const [lost] = [...this.#lost].filter((id) => members.some(({ ID }) => ID === id));
      if (lost !== undefined) await this.#remove(lost);
      else if (!this.#isOver) await this.#change(members);
    }
  }

  async #change(members: readonly MemberMessage[]): Promise<void> {
    const { chance } = this.#options;
    const learner = members.find(({ isLearner }) => isLearner);
    const voters = members.filter(({ isLearner }) => !isLearner);
    const one = chance.pick(voters).ID;
    if (learner !== undefined)
      await (chance.hits(0.8) ? this.#promote(learner.ID) : this.#remove(learner.ID));
    else if (members.length < MEMBERS_MAX && chance.hits(members.length < 3 ? 0.9 : 0.4)) await this.#add();
    else if (voters.length < VOTERS_MIN) return;
    else if (chance.hits(0.5)) this.#loseDisk(one);
    else await this.#remove(one);
  }

  /** Every member has a machine, up or not; who is no member any more is ended, after a while. */
  #reconcile(members: readonly MemberMessage[]): boolean {
    const { cluster, chance } = this.#options;
    const ids = members.map(({ ID }) => ID);
    this.#startMissing(members);
    for (const id of cluster.ids()) {
      if (ids.includes(id)) continue;
      cluster.outside.after(this.#isOver ? 0 : chance.longTail(1000), () => cluster.retire(id));
    }
    for (const id of [...this.#lost]) if (!ids.includes(id)) this.#lost.delete(id);
    return this.#lost.size === 0 && cluster.ids().every((id) => ids.includes(id));
  }

  #startMissing(members: readonly MemberMessage[]): void {
    const { cluster, log } = this.#options;
    for (const { ID: id } of members) {
      if (cluster.machines.has(id)) continue;
      log.note(`${id.toString(16)} is a member, and gets a machine`);
      cluster.join(id, members.map(fromMessage));
    }
  }

  async #list(how: { readonly linearizable: boolean }): Promise<readonly MemberMessage[] | undefined> {
    const answer = await this.#call("MemberList", MemberListRequest.encode(how).finish());
    if (answer.kind === "error") return undefined;
    return MemberListResponse.decode(Buffer.from(answer.bytes)).members;
  }

  async #add(): Promise<void> {
    const { cluster, chance } = this.#options;
    this.#added += 1;
    this.#isSettled = false;
    const peerURLs = [`http://new${this.#added}:2380`];
    const request = MemberAddRequest.encode({ peerURLs, isLearner: chance.hits(0.6) }).finish();
    const answer = await this.#call("MemberAdd", request);
    this.#note("add", peerURLs.join(), answer);
    if (answer.kind === "error") return;
    const { member, members } = MemberAddResponse.decode(Buffer.from(answer.bytes));
    if (member !== undefined) cluster.join(member.ID, members.map(fromMessage));
  }

  async #promote(id: bigint): Promise<void> {
    const answer = await this.#call("MemberPromote", MemberPromoteRequest.encode({ ID: id }).finish());
    this.#note("promote", id.toString(16), answer);
  }

  async #remove(id: bigint): Promise<void> {
    this.#isSettled = false;
    const answer = await this.#call("MemberRemove", MemberRemoveRequest.encode({ ID: id }).finish());
    this.#note("remove", id.toString(16), answer);
  }

  /** One at a time, so that a majority has all that was ever committed. */
  #loseDisk(id: bigint): void {
    const { cluster, log } = this.#options;
    if (this.#lost.size > 0 || !cluster.ids().includes(id)) return;
    log.note(`${id.toString(16)} loses its disk`);
    this.#lost.add(id);
    this.#isSettled = false;
    cluster.retire(id);
  }

  #call(method: string, request: Uint8Array): Promise<Answer> {
    const { cluster, caller, chance } = this.#options;
    return caller.call(chance.pick(cluster.endpoints()), CLUSTER + method, request, {
      timeoutMs: TIMEOUT_MS,
    });
  }

  #note(what: string, whom: string, answer: Answer): void {
    if (answer.kind === "answer") this.changes += 1;
    const outcome = answer.kind === "answer" ? "done" : answer.code;
    this.#options.log.note(`operator: ${what} ${whom}: ${outcome}`);
  }
}

function fromMessage({ ID, name, peerURLs, clientURLs, isLearner }: MemberMessage): Member {
  return { id: ID, name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner };
}
