import type { ApplyOutcome, RaftRequest } from "../apply/types.ts";
import { StoreError } from "../proto/errors.ts";
import { AlarmRequest, AlarmRequest_AlarmAction, AlarmType } from "../proto/gen/rpc.ts";
import type { ProposeOptions, Replica } from "../replica/replica.ts";
import { encodeRaftRequest, type RaftRequestKind } from "./raft-request.ts";

type Done = Extract<ApplyOutcome, { kind: "done" }>;

/** The way of every write: size limit, quota, log entry, proposal, answer. */
export class Proposals {
  readonly #replica: Replica;
  readonly #requestBytesMax: number;
  readonly #onFailure: () => void;
  #pending = 0;

  /** `requestBytesMax`: of a whole log entry (etcd `--max-request-bytes`). `onFailure` counts, for metrics. */
  constructor(options: {
    readonly replica: Replica;
    readonly requestBytesMax: number;
    readonly onFailure?: () => void;
  }) {
    this.#replica = options.replica;
    this.#requestBytesMax = options.requestBytesMax;
    this.#onFailure = options.onFailure ?? (() => undefined);
  }

  /** Proposals that wait for their outcome. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Proposes a client's marshalled request and resolves once it is durable and applied. Throws StoreError:
   * RequestTooLarge, what {@link Replica.propose} rejects with, and the refusal of apply.
   */
  async propose(kind: RaftRequestKind, request: Uint8Array, options: ProposeOptions): Promise<Done> {
    const requestId = this.#replica.nextRequestId();
    const data = encodeRaftRequest(kind, requestId, request);
    if (data.length > this.#requestBytesMax) throw new StoreError("RequestTooLarge");
    const outcome = await this.#outcome(requestId, data, options);
    if (outcome.kind === "refused") throw outcome.error;
    return outcome;
  }

  /**
   * Throws NoSpace when the request would take the backend over its quota, after raising the alarm NOSPACE for this member,
   * which makes every member refuse what grows the store until an operator disarms it.
   */
  async assertRoom(request: RaftRequest, options: { readonly signal: AbortSignal }): Promise<void> {
    const { state, memberId } = this.#replica;
    if (state.hasRoom(request)) return;
    const isRaised = state.alarms.some(
      (raised) => raised.memberID === memberId && raised.alarm === AlarmType.NOSPACE,
    );
    if (!isRaised) {
      const alarm = AlarmRequest.encode({
        action: AlarmRequest_AlarmAction.ACTIVATE,
        memberID: memberId,
        alarm: AlarmType.NOSPACE,
      }).finish();
      await this.propose("alarm", alarm, options);
    }
    throw new StoreError("NoSpace");
  }

  async #outcome(requestId: bigint, data: Uint8Array, options: ProposeOptions): Promise<ApplyOutcome> {
    this.#pending += 1;
    try {
      return await this.#replica.propose(requestId, data, options);
    } catch (error) {
      this.#onFailure();
      throw error;
    } finally {
      this.#pending -= 1;
    }
  }
}
