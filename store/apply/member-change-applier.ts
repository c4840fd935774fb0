import type { Backend } from "../backend/port.ts";
import { readConfState, writeConfState } from "../membership/conf-state-record.ts";
import { fromConfChange, toMessage } from "../membership/member-codec.ts";
import type { MemberTable } from "../membership/member-table.ts";
import { type Member, type MemberChange, unstarted } from "../membership/types.ts";
import { EMPTY_BYTES } from "../proto/binary-reader.ts";
import type { StoreError } from "../proto/errors.ts";
import { MemberAddResponse, MemberRemoveResponse } from "../proto/gen/rpc.ts";
import type { ConfChange } from "../raft/conf-change.ts";
import type { ConfState } from "../raft/types.ts";
import type { Configure } from "./types.ts";

/** `refusal` undefined: it took effect. `requestId` 0n: nobody waits. */
export interface AppliedChange {
  readonly requestId: bigint;
  readonly response: Uint8Array;
  readonly refusal: StoreError | undefined;
}

/** Decides which changes of the configuration take effect, and keeps what comes of them (etcd applyConfChange). */
export class MemberChangeApplier {
  readonly #backend: Backend;
  readonly #table: MemberTable;
  #confState: ConfState;

  constructor(backend: Backend, table: MemberTable) {
    this.#backend = backend;
    this.#table = table;
    this.#confState = readConfState(backend);
  }

  get confState(): ConfState {
    return this.#confState;
  }

  /** A change that says nothing of members concerns the configuration alone, and takes effect. */
  apply(confChange: ConfChange, configure: Configure): AppliedChange {
    const carried = fromConfChange(confChange);
    if (carried === undefined) {
      this.#keep(configure(confChange));
      return { requestId: 0n, response: EMPTY_BYTES, refusal: undefined };
    }
    const { change, requestId } = carried;
    const refusal = this.#table.refusal(change);
    if (refusal !== undefined) return { requestId, response: EMPTY_BYTES, refusal };
    this.#keep(configure(confChange));
    this.#table.apply(change);
    return { requestId, response: this.#response(change), refusal: undefined };
  }

  /** The configuration of a cluster of one that did not keep it. */
  adopt(member: Member): void {
    this.#table.apply({ kind: "add", member, learnersMax: 0 });
    this.#keep({ ...this.#confState, voters: [member.id] });
  }

  #keep(confState: ConfState): void {
    this.#confState = confState;
    writeConfState(this.#backend, confState);
  }

  /** The list after the change; of an addition also the new member, as it was proposed. */
  #response(change: MemberChange): Buffer {
    const members = this.#table.members.map(toMessage);
    if (change.kind !== "add") return MemberRemoveResponse.encode({ header: undefined, members }).finish();
    const { id, peerUrls, isLearner } = change.member;
    const member = toMessage(unstarted(id, peerUrls, isLearner));
    return MemberAddResponse.encode({ header: undefined, member, members }).finish();
  }
}
