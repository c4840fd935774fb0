import { asBuffer } from "../../base/as-buffer.ts";
import type { Backend } from "../backend/port.ts";
import { StoreError, type StoreErrorCode } from "../proto/errors.ts";
import { Member as MemberMessage } from "../proto/gen/rpc.ts";
import { fromMessage, toMessage } from "./member-codec.ts";
import { byId, type Member, type MemberAttributes, type MemberChange } from "./types.ts";

/**
 * Who belongs to the cluster, as of the applied index, in the backend's buckets "members" and "members_removed" (etcd
 * membership/cluster.go). Keys are ids, 8 bytes big-endian; an id that was removed never comes back.
 */
export class MemberTable {
  readonly #backend: Backend;
  readonly #byId: Map<bigint, Member>;
  readonly #removed: Set<bigint>;
  #members: readonly Member[];

  constructor(backend: Backend) {
    this.#backend = backend;
    const from = new Uint8Array(0);
    const records = Array.from(backend.range("members", from, undefined, 0), ({ value }) =>
      fromMessage(MemberMessage.decode(value)),
    );
    this.#byId = new Map(records.map((member) => [member.id, member]));
    this.#removed = new Set(
      Array.from(backend.range("members_removed", from, undefined, 0), ({ key }) =>
        asBuffer(key).readBigUInt64BE(),
      ),
    );
    this.#members = byId(records);
  }

  /** Ascending by id. */
  get members(): readonly Member[] {
    return this.#members;
  }

  get removed(): ReadonlySet<bigint> {
    return this.#removed;
  }

  get(id: bigint): Member | undefined {
    return this.#byId.get(id);
  }

  /**
   * Why a change is refused, which every member decides alike; undefined when it is not (etcd
   * ValidateConfigurationChange). A change that would leave no voter is among the refused: it could never be undone.
   */
  refusal(change: MemberChange): StoreError | undefined {
    const code = this.#refusalCode(change);
    return code === undefined ? undefined : new StoreError(code);
  }

  /** Carries out a change that is not refused. */
  apply(change: MemberChange): void {
    switch (change.kind) {
      case "add":
        this.#set(change.member);
        break;
      case "promote":
        this.#change(change.id, { isLearner: false });
        break;
      case "remove":
        this.#byId.delete(change.id);
        this.#removed.add(change.id);
        this.#backend.delete("members", keyOf(change.id));
        this.#backend.put("members_removed", keyOf(change.id), Buffer.from("removed"));
        break;
      case "update":
        this.#change(change.id, { peerUrls: change.peerUrls });
        break;
      default:
        change satisfies never;
    }
    this.#members = byId(this.#byId.values());
  }

  /** What a started member tells of itself; of one that is not (any more) in the cluster it is passed over. */
  setAttributes(id: bigint, { name, clientUrls }: MemberAttributes): void {
    this.#change(id, { name, clientUrls });
    this.#members = byId(this.#byId.values());
  }

  #refusalCode(change: MemberChange): StoreErrorCode | undefined {
    const id = change.kind === "add" ? change.member.id : change.id;
    if (this.#removed.has(id)) return "MemberNotFound";
    const member = this.#byId.get(id);
    if (change.kind === "add") return member === undefined ? this.#addRefusal(change) : "MemberExist";
    if (member === undefined) return "MemberNotFound";
    switch (change.kind) {
      case "promote":
        return member.isLearner ? undefined : "MemberNotLearner";
      case "remove":
        return this.#isLastVoter(member) ? "MemberNotEnoughStarted" : undefined;
      case "update":
        return this.#haveUrl(change.peerUrls, id) ? "PeerURLExist" : undefined;
      default:
        return change satisfies never;
    }
  }

  #addRefusal({ member, learnersMax }: Extract<MemberChange, { kind: "add" }>): StoreErrorCode | undefined {
    if (this.#haveUrl(member.peerUrls, member.id)) return "PeerURLExist";
    const learners = this.#members.filter(({ isLearner }) => isLearner).length;
    return member.isLearner && learners + 1 > learnersMax ? "TooManyLearners" : undefined;
  }

  #haveUrl(urls: readonly string[], exceptId: bigint): boolean {
    return this.#members.some(
      ({ id, peerUrls }) => id !== exceptId && peerUrls.some((url) => urls.includes(url)),
    );
  }

  #isLastVoter(member: Member): boolean {
    return !member.isLearner && this.#members.every(({ id, isLearner }) => isLearner || id === member.id);
  }

  #change(id: bigint, changed: Partial<Member>): void {
    const member = this.#byId.get(id);
    if (member !== undefined) this.#set({ ...member, ...changed });
  }

  #set(member: Member): void {
    this.#byId.set(member.id, member);
    this.#backend.put("members", keyOf(member.id), MemberMessage.encode(toMessage(member)).finish());
  }
}

function keyOf(id: bigint): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeBigUInt64BE(id);
  return key;
}
