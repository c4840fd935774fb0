import assert from "node:assert/strict";
import path from "node:path";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { pino } from "pino";
import { systemClock } from "../../../base/clock.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { systemRandom } from "../../../base/random.ts";
import { loadStoreConfig } from "../../../conf/load-store-config.ts";
import {
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  StatusRequest,
  StatusResponse,
} from "../../../store/proto/gen/rpc.ts";
import { StoreServer } from "../../../store/server/store-server.ts";
import { eventually, freePort, temporaryFolder } from "../../support/process.ts";
import { PeerWires } from "./peer-wires.ts";

interface RequestType<Request> {
  encode(message: Request): { finish(): Buffer };
  fromPartial(fields: object): Request;
}

interface ResponseType<Response> {
  decode(bytes: Uint8Array): Response;
}

export type Types<Request, Response> = readonly [RequestType<Request>, ResponseType<Response>];

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface MembersOptions {
  readonly size?: number;
  readonly heartbeatMs?: number;
  readonly electionMs?: number;
  /** More of etcd's flags, for each member. */
  readonly flags?: readonly string[];
  /** Prints what the members log. */
  readonly isLoud?: boolean;
}

const START_MS = 30_000;

/** One member of a {@link MembersBed}; its client port and its data stay the same over restarts. */
export class BedMember {
  readonly name: string;
  readonly wires: PeerWires;
  /** The messages of its log, over all its lives. */
  readonly logged: string[] = [];
  readonly #argv: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #clientPort: number;
  readonly #isLoud: boolean;
  #server: StoreServer | undefined;
  #client: Client | undefined;

  constructor(options: {
    readonly name: string;
    readonly wires: PeerWires;
    readonly argv: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly clientPort: number;
    readonly isLoud: boolean;
  }) {
    this.name = options.name;
    this.wires = options.wires;
    this.#argv = options.argv;
    this.#env = options.env ?? {};
    this.#clientPort = options.clientPort;
    this.#isLoud = options.isLoud;
  }

  /** What --data-dir names. */
  get dataFolder(): string {
    const flag = "--data-dir=";
    return this.#argv.find((text) => text.startsWith(flag))?.slice(flag.length) ?? "";
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#clientPort}`;
  }

  get isRunning(): boolean {
    return this.#server !== undefined;
  }

  get server(): StoreServer {
    assert.ok(this.#server !== undefined, `${this.name} is running`);
    return this.#server;
  }

  get replica(): StoreServer["replica"] {
    return this.server.replica;
  }

  get id(): bigint {
    return this.replica.memberId;
  }

  get leads(): boolean {
    return this.#server?.replica.status.role === "leader";
  }

  async start(): Promise<void> {
    const command = loadStoreConfig(this.#argv, this.#env);
    assert.ok(command.kind === "run");
    const { settings } = command;
    this.#server = await StoreServer.open({
      settings,
      disk: nodeDisk,
      clock: systemClock,
      random: systemRandom,
      logger: pino({ base: { member: this.name } }, { write: (line) => this.#log(line) }),
      onRemoved: () => undefined,
      onFatal: (error) => assert.fail(error instanceof Error ? error : String(error)),
    });
    await this.#server.listen(settings);
    this.#client = new Client(`127.0.0.1:${this.#clientPort}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      "grpc.enable_retries": 0,
    });
  }

  /**
   * Another member at the addresses of this one, which is over, without data; it is told of the cluster by the variables that
   * `member add` prints.
   */
  replacement(env: Readonly<Record<string, string>>): BedMember {
    const { name, wires } = this;
    const kept = this.#argv.filter((flag) => !/^--(data-dir|initial-cluster)=/.test(flag));
    const argv = [...kept, `--data-dir=${path.join(temporaryFolder(name), "data")}`];
    return new BedMember({ name, wires, argv, env, clientPort: this.#clientPort, isLoud: this.#isLoud });
  }

  /** In good order: a leader hands over first. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#client?.close();
    await server?.close();
  }

  /** `method` is "KV/Put". Rejects with grpc-js's ServiceError. */
  call<Request, Response>(
    method: string,
    [requestType, responseType]: Types<Request, Response>,
    request: object = {},
    { metadata = {}, timeoutMs = 20_000 }: CallOptions = {},
  ): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.#open().makeUnaryRequest(
      `/etcdserverpb.${method}`,
      (message: Request) => requestType.encode(message).finish(),
      (bytes: Buffer) => responseType.decode(bytes),
      requestType.fromPartial(request),
      metadataOf(metadata),
      { deadline: Date.now() + timeoutMs },
      (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
    );
    return promise;
  }

  /** Opens a stream that goes on until either side ends it. */
  stream<Request, Response>(
    method: string,
    types: Types<Request, Response>,
    { metadata = {} }: CallOptions = {},
  ): BedStream<Request, Response> {
    return new BedStream(this.#open(), method, types, metadataOf(metadata));
  }

  put(key: string, value = "", options: CallOptions = {}): Promise<PutResponse> {
    const fields = { key: Buffer.from(key), value: Buffer.from(value) };
    return this.call("KV/Put", [PutRequest, PutResponse], fields, options);
  }

  /** The value; undefined when there is none. */
  async get(key: string, fields: object = {}, options: CallOptions = {}): Promise<string | undefined> {
    const request = { key: Buffer.from(key), ...fields };
    const { kvs } = await this.call("KV/Range", [RangeRequest, RangeResponse], request, options);
    return kvs[0] && Buffer.from(kvs[0].value).toString();
  }

  status(): Promise<StatusResponse> {
    return this.call("Maintenance/Status", [StatusRequest, StatusResponse]);
  }

  #log(line: string): void {
    this.logged.push(JSON.parse(line).msg);
    if (this.#isLoud) process.stderr.write(line);
  }

  #open(): Client {
    assert.ok(this.#client !== undefined && this.isRunning, `${this.name} is running`);
    return this.#client;
  }
}

/** A stream as a client has it. */
export class BedStream<Request, Response> implements Disposable {
  /** The status with which the server ends it. */
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  readonly #call;
  readonly #request: RequestType<Request>;
  readonly #waiting: Response[] = [];
  #wake: () => void = () => undefined;
  #isOver = false;

  constructor(client: Client, method: string, types: Types<Request, Response>, metadata: Metadata) {
    const [requestType, responseType] = types;
    this.#request = requestType;
    this.#call = client.makeBidiStreamRequest(
      `/etcdserverpb.${method}`,
      (message: Request) => requestType.encode(message).finish(),
      (bytes: Buffer) => responseType.decode(bytes),
      metadata,
    );
    this.#call.on("data", (response: Response) => {
      this.#waiting.push(response);
      this.#wake();
    });
    // The status comes with it, too.
    this.#call.on("error", (_: ServiceError) => undefined);
    this.ended = new Promise((resolve) => {
      this.#call.on("status", ({ code, details }) => {
        this.#isOver = true;
        this.#wake();
        resolve({ code, details });
      });
    });
  }

  send(fields: object): void {
    this.#call.write(this.#request.fromPartial(fields));
  }

  /** The next answer; undefined when the stream is over. The test's time limit is the only one. */
  async next(): Promise<Response | undefined> {
    for (;;) {
      const response = this.#waiting.shift();
      if (response !== undefined) return response;
      if (this.#isOver) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
  }
}

/** Members of one cluster in this process, on the machine's disk and over its loopback, which a test can stop and part. */
export class MembersBed implements AsyncDisposable {
  members: readonly BedMember[];
  readonly #apart = new Set<bigint>();

  private constructor(members: readonly BedMember[]) {
    this.members = members;
  }

  /** Starts them and waits until one leads and all follow it. */
  static async open(options: MembersOptions = {}): Promise<MembersBed> {
    const { size = 3, heartbeatMs = 50, electionMs = 500, flags = [], isLoud = false } = options;
    const names = Array.from({ length: size }, (_, index) => `m${index + 1}`);
    const places = await Promise.all(
      names.map(async (name) => {
        const peerPort = await freePort();
        return { name, peerPort, clientPort: await freePort(), wires: await PeerWires.start(peerPort) };
      }),
    );
    const cluster = places.map(({ name, wires }) => `${name}=${wires.url}`).join(",");
    const members = places.map(({ name, peerPort, clientPort, wires }) => {
      const url = `http://127.0.0.1:${clientPort}`;
      const argv = [
        `--name=${name}`,
        `--data-dir=${path.join(temporaryFolder(name), "data")}`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
        `--initial-advertise-peer-urls=${wires.url}`,
        `--initial-cluster=${cluster}`,
        `--heartbeat-interval=${heartbeatMs}`,
        `--election-timeout=${electionMs}`,
        ...flags,
      ];
      return new BedMember({ name, wires, argv, clientPort, isLoud });
    });
    const bed = new MembersBed(members);
    await Promise.all(members.map((member) => member.start()));
    await bed.leader();
    return bed;
  }

  /** Starts another member where one was; see {@link BedMember.replacement}. */
  async replace(member: BedMember, env: Readonly<Record<string, string>>): Promise<BedMember> {
    const replacement = member.replacement(env);
    this.members = this.members.map((one) => (one === member ? replacement : one));
    await replacement.start();
    return replacement;
  }

  get running(): readonly BedMember[] {
    return this.members.filter(({ isRunning }) => isRunning);
  }

  /** The one that leads, once all that run and are not apart follow it. */
  leader(): Promise<BedMember> {
    return eventually(
      () => {
        const others = this.running.filter(({ id }) => !this.#apart.has(id));
        const leader = others.find(({ leads }) => leads);
        assert.ok(leader !== undefined, "one leads");
        for (const { name, replica } of others) {
          assert.equal(replica.status.leader, leader.id, `${name} follows ${leader.name}`);
          assert.ok(
            replica.state.appliedIndex > 0 && replica.state.appliedTerm === leader.replica.status.term,
          );
        }
        return leader;
      },
      { timeoutMs: START_MS },
    );
  }

  async followers(): Promise<readonly BedMember[]> {
    const leader = await this.leader();
    return this.running.filter((member) => member !== leader && !this.#apart.has(member.id));
  }

  /**
   * From now on no message passes between these and the others, in no direction. What members ask each other beside the
   * log does not name who asks: these are not asked, and may ask the others.
   */
  part(...members: readonly BedMember[]): void {
    for (const { id } of members) this.#apart.add(id);
    this.#wire();
  }

  heal(): void {
    this.#apart.clear();
    this.#wire();
  }

  #wire(): void {
    for (const member of this.members) {
      member.wires.allow(({ kind, from, to }) =>
        kind === "call"
          ? !member.isRunning || !this.#apart.has(member.id)
          : this.#apart.has(from) === this.#apart.has(to),
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // All at once: the last ones would wait in vain for somebody to take over.
    await Promise.all(this.members.map((member) => member.stop()));
    await Promise.all(this.members.map(({ wires }) => wires[Symbol.asyncDispose]()));
  }
}

function metadataOf(fields: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(fields)) metadata.set(key, value);
  return metadata;
}
