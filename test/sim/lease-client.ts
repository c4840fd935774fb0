import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseRevokeRequest,
} from "../../store/proto/gen/rpc.ts";
import type { Answer } from "./caller.ts";
import { type ClientWorld, MemberChoice } from "./clients.ts";
import type { KvClient } from "./kv-client.ts";
import type { LeaseLaws } from "./lease-laws.ts";

const LEASE = "/etcdserverpb.Lease/";
const TIMEOUT_MS = 3000;

/** A client that takes a lease, keeps a key under it alive for a while, and lets it end or ends it. Again and again. */
export class LeaseClient {
  readonly #world: ClientWorld;
  readonly #laws: LeaseLaws;
  readonly #kv: KvClient;
  readonly #members: MemberChoice;
  #isOver = false;
  renewed = 0;

  constructor(world: ClientWorld, laws: LeaseLaws, kv: KvClient) {
    this.#world = world;
    this.#laws = laws;
    this.#kv = kv;
    this.#members = new MemberChoice(world);
  }

  start(): void {
    this.#run().catch((error: unknown) => this.#world.onViolation(error));
  }

  stop(): void {
    this.#isOver = true;
  }

  async #run(): Promise<void> {
    const { caller, chance } = this.#world;
    while (!this.#isOver) {
      await caller.process.delay(chance.longTail(500));
      const id = this.#isOver ? undefined : await this.#grant(2 + chance.below(4));
      if (id === undefined) continue;
      if (chance.hits(0.7)) await this.#kv.put(chance.pick(this.#world.keys), id);
      await this.#keepAlive(id, chance.below(12));
      if (chance.hits(0.3)) await this.#revoke(id);
    }
  }

  async #grant(ttl: number): Promise<bigint | undefined> {
    const askedMs = this.#world.caller.process.nowMs;
    const request = LeaseGrantRequest.encode({ ID: 0n, TTL: ttl }).finish();
    const answer = await this.#call("LeaseGrant", request);
    if (answer.kind === "error") return undefined;
    const { ID, TTL } = LeaseGrantResponse.decode(Buffer.from(answer.bytes));
    this.#laws.promised(ID, askedMs, TTL);
    return ID;
  }

  async #keepAlive(id: bigint, times: number): Promise<void> {
    const { caller, chance } = this.#world;
    for (let i = 0; i < times && !this.#isOver; i += 1) {
      await caller.process.delay(chance.between(300, 1500));
      const askedMs = caller.process.nowMs;
      const answer = await this.#call("LeaseKeepAlive", LeaseKeepAliveRequest.encode({ ID: id }).finish());
      if (answer.kind === "error") continue;
      const { TTL } = LeaseKeepAliveResponse.decode(Buffer.from(answer.bytes));
      if (TTL <= 0) return;
      this.renewed += 1;
      this.#laws.promised(id, askedMs, TTL);
    }
  }

  async #revoke(id: bigint): Promise<void> {
    this.#laws.revoking(id);
    await this.#call("LeaseRevoke", LeaseRevokeRequest.encode({ ID: id }).finish());
  }

  async #call(method: string, request: Uint8Array): Promise<Answer> {
    const options = { timeoutMs: TIMEOUT_MS };
    const answer = await this.#world.caller.call(this.#members.get(), LEASE + method, request, options);
    if (answer.kind === "error") this.#members.change();
    return answer;
  }
}
