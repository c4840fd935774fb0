import type { Logger } from "pino";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import { type Random, systemRandom } from "../../base/random.ts";
import { type ClientLimits, clientLimitsSchema } from "../../conf/client-config.ts";
import { AlarmRequest_AlarmAction, AlarmType } from "../proto/gen/rpc.ts";
import { AuthToken, type Credentials } from "./auth-token.ts";
import { type CallContext, type CallPlan, callUnary } from "./call.ts";
import { ClusterCalls } from "./cluster-calls.ts";
import type { Connection, TlsOptions } from "./connection.ts";
import { Connections } from "./connections.ts";
import {
  alarmsResult,
  deleteResult,
  headerOf,
  memberListResult,
  putResult,
  rangeResult,
  statusResult,
  timeToLiveResult,
  txnResult,
} from "./decode-results.ts";
import { deleteRequest, isReadOnly, putRequest, rangeRequest, txnRequest } from "./encode-operations.ts";
import { parseEndpoint } from "./endpoint.ts";
import { toBuffer } from "./key-range.ts";
import { keepAliveOnce } from "./lease-keep-alive.ts";
import { METHODS, type Method } from "./method.ts";
import type {
  Bytes,
  CallOptions,
  DeleteOptions,
  PutOptions,
  RangeOptions,
  Transaction,
} from "./operations.ts";
import type {
  Alarm,
  AlarmsResult,
  CompactResult,
  DeleteResult,
  GetResult,
  HashKvResult,
  LeaseGrantResult,
  LeaseKeepAliveResult,
  LeaseRevokeResult,
  LeasesResult,
  LeaseTimeToLiveResult,
  MemberListResult,
  PutResult,
  RangeResult,
  StatusResult,
  TxnResult,
} from "./results.ts";
import type { ConnectionState, WatchItem, WatchOptions } from "./types.ts";
import { watch } from "./watch.ts";

export interface StoreClientOptions {
  /** `http://host:port`, `https://host:port` or `host:port`; at least one. */
  readonly endpoints: readonly string[];
  readonly limits?: Partial<ClientLimits>;
  readonly tls?: TlsOptions;
  readonly credentials?: Credentials;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Gets connection changes: WARN when it is lost, INFO when it is there again. */
  readonly logger?: Logger;
  /** Told of changes only; nobody waits on it, and it must not throw. */
  readonly onConnectionState?: (state: ConnectionState) => void;
}

/**
 * A client of the store, or of any etcd. It holds one connection, made when first needed, and goes to the next endpoint
 * when that fails. Calls throw {@link ClientError}, or the signal's reason.
 */
export class StoreClient implements Disposable {
  /** Who belongs to the cluster, and who leads. */
  readonly cluster: ClusterCalls;
  readonly #context: CallContext;

  private constructor(context: CallContext) {
    this.cluster = new ClusterCalls(context);
    this.#context = context;
  }

  /** No I/O. Throws CodedError "EINVAL" for an endpoint, and ZodError for a limit, that makes no sense. */
  static create(options: StoreClientOptions): StoreClient {
    const { logger, onConnectionState, clock = systemClock, random = systemRandom } = options;
    if (options.endpoints.length === 0) {
      throw new CodedError("EINVAL", "Cannot use a store without endpoints: got none, expected at least one");
    }
    const limits = clientLimitsSchema.parse(options.limits ?? {});
    const connections = new Connections({
      endpoints: options.endpoints.map(parseEndpoint),
      limits,
      tls: options.tls ?? {},
      random,
      onState: (state) => {
        logState(logger, state);
        onConnectionState?.(state);
      },
    });
    const auth = options.credentials === undefined ? undefined : new AuthToken(options.credentials);
    return new StoreClient({ connections, limits, clock, random, auth });
  }

  /** One key. */
  async get(
    key: Bytes,
    options: CallOptions & Pick<RangeOptions, "revision" | "serializable">,
  ): Promise<GetResult> {
    const { header, kvs } = await this.range(key, options);
    return { header, kv: kvs[0] };
  }

  /** Keys of a range; without `prefix`, `fromKey` and `rangeEnd`, the one key. */
  async range(key: Bytes, options: CallOptions & RangeOptions): Promise<RangeResult> {
    const plan = { what: `read key ${shown(key)}`, repeatable: true, signal: options.signal };
    return rangeResult(await this.#unary(METHODS.range, rangeRequest(key, options), plan));
  }

  async put(key: Bytes, value: Bytes, options: CallOptions & PutOptions): Promise<PutResult> {
    const plan = { what: `put key ${shown(key)}`, repeatable: false, signal: options.signal };
    return putResult(await this.#unary(METHODS.put, putRequest(key, value, options), plan));
  }

  async delete(key: Bytes, options: CallOptions & DeleteOptions): Promise<DeleteResult> {
    const plan = { what: `delete key ${shown(key)}`, repeatable: false, signal: options.signal };
    return deleteResult(await this.#unary(METHODS.deleteRange, deleteRequest(key, options), plan));
  }

  async txn(transaction: Transaction, options: CallOptions): Promise<TxnResult> {
    const plan = { what: "run a transaction", repeatable: isReadOnly(transaction), signal: options.signal };
    return txnResult(await this.#unary(METHODS.txn, txnRequest(transaction), plan));
  }

  /** `physical`: answer only when the records are gone from the disk. */
  async compact(
    revision: number,
    options: CallOptions & { readonly physical?: boolean },
  ): Promise<CompactResult> {
    const plan = { what: `compact to revision ${revision}`, repeatable: false, signal: options.signal };
    const request = { revision, physical: options.physical ?? false };
    return { header: headerOf(await this.#unary(METHODS.compact, request, plan)) };
  }

  /** Follows keys from a revision on; see {@link WatchItem}. Retries until the signal is aborted. */
  watch(options: WatchOptions): AsyncIterable<WatchItem> {
    return watch(this.#context, options);
  }

  /** `id` 0n or absent: the store chooses. Asked twice when an answer got lost; the lease nobody knows of runs out. */
  async leaseGrant(
    ttlSeconds: number,
    options: CallOptions & { readonly id?: bigint },
  ): Promise<LeaseGrantResult> {
    const plan = { what: `grant a lease of ${ttlSeconds} s`, repeatable: true, signal: options.signal };
    const request = { TTL: ttlSeconds, ID: options.id ?? 0n };
    const answer = await this.#unary(METHODS.leaseGrant, request, plan);
    return { header: headerOf(answer), id: answer.ID, ttlSeconds: answer.TTL };
  }

  async leaseRevoke(id: bigint, options: CallOptions): Promise<LeaseRevokeResult> {
    const plan = { what: `revoke lease ${id.toString(16)}`, repeatable: true, signal: options.signal };
    return { header: headerOf(await this.#unary(METHODS.leaseRevoke, { ID: id }, plan)) };
  }

  /** Renews once. {@link LeaseKeeper} does it for as long as it takes. */
  leaseKeepAlive(id: bigint, options: CallOptions): Promise<LeaseKeepAliveResult> {
    return keepAliveOnce(this.#context, id, options);
  }

  async leaseTimeToLive(
    id: bigint,
    options: CallOptions & { readonly keys?: boolean },
  ): Promise<LeaseTimeToLiveResult> {
    const plan = { what: `read lease ${id.toString(16)}`, repeatable: true, signal: options.signal };
    const request = { ID: id, keys: options.keys ?? false };
    return timeToLiveResult(await this.#unary(METHODS.leaseTimeToLive, request, plan));
  }

  async leases(options: CallOptions): Promise<LeasesResult> {
    const plan = { what: "list leases", repeatable: true, signal: options.signal };
    const answer = await this.#unary(METHODS.leaseLeases, {}, plan);
    return { header: headerOf(answer), ids: answer.leases.map((lease) => lease.ID) };
  }

  /** `linearizable`: as the leader knows it, and not as whoever is asked does. */
  async memberList(options: CallOptions & { readonly linearizable?: boolean }): Promise<MemberListResult> {
    const plan = { what: "list members", repeatable: true, signal: options.signal };
    const request = { linearizable: options.linearizable ?? true };
    return memberListResult(await this.#unary(METHODS.memberList, request, plan));
  }

  async alarms(options: CallOptions): Promise<AlarmsResult> {
    const plan = { what: "list alarms", repeatable: true, signal: options.signal };
    const request = { action: AlarmRequest_AlarmAction.GET, memberID: 0n, alarm: AlarmType.NONE };
    return alarmsResult(await this.#unary(METHODS.alarm, request, plan));
  }

  /** Ends one alarm; the result names it, or nothing if there was no such alarm. */
  async disarmAlarm(alarm: Alarm, options: CallOptions): Promise<AlarmsResult> {
    const plan = { what: `end alarm ${alarm.type}`, repeatable: true, signal: options.signal };
    const request = {
      action: AlarmRequest_AlarmAction.DEACTIVATE,
      memberID: alarm.memberId,
      alarm: AlarmType[alarm.type],
    };
    return alarmsResult(await this.#unary(METHODS.alarm, request, plan));
  }

  /** Of one member, over a connection of its own. */
  status(endpoint: string, options: CallOptions): Promise<StatusResult> {
    return this.#at(endpoint, async (connection) => {
      const plan = { what: "read the member's status", repeatable: true, signal: options.signal, connection };
      return statusResult(await this.#unary(METHODS.status, {}, plan));
    });
  }

  /** Of one member, over a connection of its own; `revision` 0: newest. */
  hashKv(endpoint: string, options: CallOptions & { readonly revision?: number }): Promise<HashKvResult> {
    return this.#at(endpoint, async (connection) => {
      const plan = { what: "hash the keys", repeatable: true, signal: options.signal, connection };
      const request = { revision: options.revision ?? 0 };
      const { hash, compactRevision, hashRevision, ...answer } = await this.#unary(
        METHODS.hashKv,
        request,
        plan,
      );
      return { header: headerOf(answer), hash, compactRevision, hashRevision };
    });
  }

  /** Closes the connection and ends watches; calls under way end as they may, new ones throw. Idempotent. */
  close(): void {
    this.#context.connections.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    plan: CallPlan,
  ): Promise<Response> {
    return callUnary(this.#context, method, request, plan);
  }

  async #at<Result>(endpoint: string, act: (connection: Connection) => Promise<Result>): Promise<Result> {
    const connection = this.#context.connections.open(parseEndpoint(endpoint));
    try {
      return await act(connection);
    } finally {
      connection.close();
    }
  }
}

const SHOWN_CHARACTERS_MAX = 200;

function shown(key: Bytes): string {
  return JSON.stringify(toBuffer(key).toString("utf8").slice(0, SHOWN_CHARACTERS_MAX));
}

function logState(logger: Logger | undefined, state: ConnectionState): void {
  if (state.kind === "connected") logger?.info({ endpoint: state.endpoint }, "connected to the store");
  else logger?.warn({ ...state, kind: undefined }, "connection to the store lost");
}
