import assert from "node:assert/strict";
import { StoreError } from "../../../store/proto/errors.ts";
import { MemberServices, type MemberServicesOptions } from "../../../store/server/member-services.ts";
import { type OpenedMember, openMember } from "../../../store/server/open-member.ts";
import type { CallContext, StreamHandler } from "../../../store/server/service.ts";
import { temporaryFolder } from "../../support/process.ts";
import { loneMember } from "./lone-member.ts";

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
    const { quotaBytes = 0 } = options;
    const memberOptions = { ...loneMember(folder), quotaBytes };
    const member = await openMember(memberOptions);
    const { clock, random, logger, onFatal } = memberOptions;
    const services = new MemberServices({
      clock,
      random,
      logger,
      onFatal,
      member,
      attributes: { name: "one", clientUrls: ["http://c:2379"] },
      isStrict: true,
      learnersMax: 1,
      isConnected: () => false,
      callMember: () => Promise.reject(new StoreError("NoLeader")),
      electionMs: 1_000,
      requestTimeoutMs: 7_000,
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

  /** Opens a stream method that goes on until it is ended. */
  open<Response>(
    method: string,
    types: readonly [RequestType, ResponseType<Response>],
  ): LiveStream<Response> {
    const handler = this.services.table.get(`/${method}`);
    assert.ok(handler?.kind === "stream", `${method} is a stream method`);
    return new LiveStream(handler.call, types);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.services.close();
    await this.member.close();
  }
}

/** A stream as a client has it: requests when it likes, answers when it takes them. */
export class LiveStream<Response> {
  /** All that was answered and not taken with next(). */
  readonly waiting: Response[] = [];
  readonly #requestType: RequestType;
  readonly #requests: Uint8Array[] = [];
  readonly #served: Promise<void>;
  readonly #controller = new AbortController();
  #gate: PromiseWithResolvers<void> | undefined;
  #hasEnded = false;
  #wakeServer: () => void = () => undefined;
  #wakeClient: () => void = () => undefined;

  constructor(
    call: StreamHandler,
    [requestType, responseType]: readonly [RequestType, ResponseType<Response>],
  ) {
    this.#requestType = requestType;
    const respond = async (message: Uint8Array) => {
      await this.#gate?.promise;
      this.waiting.push(responseType.decode(message));
      this.#wakeClient();
    };
    this.#served = call(this.#incoming(), respond, contextOf(this.#controller.signal));
  }

  send(request: object): void {
    this.#requests.push(this.#requestType.encode(this.#requestType.fromPartial(request) as never).finish());
    this.#wakeServer();
  }

  /** The next answer; the test's time limit is the only one. */
  async next(): Promise<Response> {
    for (;;) {
      const response = this.waiting.shift();
      if (response !== undefined) return response;
      await new Promise<void>((resolve) => {
        this.#wakeClient = resolve;
      });
    }
  }

  /** From now on the client takes nothing, until resume(). */
  stall(): void {
    this.#gate ??= Promise.withResolvers();
  }

  resume(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  /** The client sends nothing more. */
  endRequests(): void {
    this.#hasEnded = true;
    this.#wakeServer();
  }

  /** The client ends its side and cancels the call; resolves when the server has ended its own. */
  async end(): Promise<void> {
    this.endRequests();
    const cancelled = new Error("the client has cancelled");
    this.#controller.abort(cancelled);
    await this.#served.catch((error: unknown) => {
      if (error !== cancelled) throw error;
    });
  }

  async *#incoming(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#hasEnded) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeServer = resolve;
        });
    }
  }
}

function contextOf(signal: AbortSignal): CallContext {
  return { metadata: new Map(), signal, peer: "test" };
}
