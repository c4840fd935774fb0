import assert from "node:assert/strict";
import { pino } from "pino";
import { systemClock } from "../../../base/clock.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { seededRandom } from "../../../base/random.ts";
import { MemberServices, type MemberServicesOptions } from "../../../store/server/member-services.ts";
import { type OpenedMember, openMember } from "../../../store/server/open-member.ts";
import type { CallContext } from "../../../store/server/service.ts";
import { temporaryFolder } from "../../support/process.ts";

export const CLUSTER_ID = 11n;
export const MEMBER_ID = 22n;

interface RequestType {
  encode(message: never): { finish(): Buffer };
  fromPartial(fields: object): unknown;
}

interface ResponseType<Response> {
  decode(bytes: Uint8Array): Response;
}

/** A member on the machine's disk with its services, called over bytes as an adapter calls them, without a transport. */
export class MemberBed implements AsyncDisposable {
  readonly member: OpenedMember;
  readonly services: MemberServices;

  private constructor(member: OpenedMember, services: MemberServices) {
    this.member = member;
    this.services = services;
  }

  static async open(
    options: Partial<MemberServicesOptions> & { readonly quotaBytes?: number } = {},
  ): Promise<MemberBed> {
    const folder = temporaryFolder("member");
    const common = {
      clock: systemClock,
      random: seededRandom(1),
      logger: pino({ level: "silent" }),
      onFatal: (error: unknown) => assert.fail(String(error)),
    };
    const member = await openMember({
      ...common,
      dataFolder: folder,
      clusterId: CLUSTER_ID,
      memberId: MEMBER_ID,
      mayBootstrap: true,
      quotaBytes: options.quotaBytes ?? 0,
      limits: { tickMs: 100, electionTicks: 10 },
      disk: nodeDisk,
    });
    const services = new MemberServices({
      ...common,
      member,
      info: { name: "one", peerUrls: ["http://p:2380"], clientUrls: ["http://c:2379"] },
      scratchFolder: folder,
      requestBytesMax: 1.5 * 1024 * 1024,
      txnOpsMax: 128,
      progressIntervalMs: 600_000,
      ...options,
    });
    return new MemberBed(member, services);
  }

  /** Calls a unary method: "etcdserverpb.KV/Put". */
  async call<Response>(
    method: string,
    types: readonly [RequestType, ResponseType<Response>],
    request: object = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Response> {
    const handler = this.services.table.get(`/${method}`);
    assert.ok(handler?.kind === "unary", `${method} is a unary method`);
    const [requestType, responseType] = types;
    const bytes = requestType.encode(requestType.fromPartial(request) as never).finish();
    return responseType.decode(await handler.call(bytes, contextOf(signal)));
  }

  /** Opens a stream method, sends these requests and ends the client's side, and gives what is answered until the end. */
  async stream<Response>(
    method: string,
    types: readonly [RequestType, ResponseType<Response>],
    requests: readonly object[],
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Response[]> {
    const handler = this.services.table.get(`/${method}`);
    assert.ok(handler?.kind === "stream", `${method} is a stream method`);
    const [requestType, responseType] = types;
    const responses: Response[] = [];
    async function* incoming(): AsyncGenerator<Uint8Array> {
      for (const request of requests) {
        yield requestType.encode(requestType.fromPartial(request) as never).finish();
      }
    }
    const respond = async (message: Uint8Array) => void responses.push(responseType.decode(message));
    await handler.call(incoming(), respond, contextOf(signal));
    return responses;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.services.close();
    await this.member.close();
  }
}

function contextOf(signal: AbortSignal): CallContext {
  return { metadata: new Map(), signal, peer: "test" };
}
