import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../../base/clock.ts";
import { systemLater } from "../../../base/later.ts";
import { seededRandom } from "../../../base/random.ts";
import type { FrameChannel } from "../../../store/peer/frame-channel.ts";
import { openChannel } from "../../../store/peer/open-channel.ts";
import { PEER_LIMITS, type PeerLimits } from "../../../store/peer/peer-limits.ts";
import { TcpTransport, type TcpTransportOptions } from "../../../store/peer/tcp-transport.ts";
import type { PeerHandler } from "../../../store/peer/transport.ts";
import type {
  AppendMessage,
  HeartbeatMessage,
  Message,
  SnapshotMessage,
} from "../../../store/raft/message.ts";
import { type LogLine, recordedLog } from "../../support/recorded-log.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

export const CLUSTER = 0xcdf818194e3a8c32n;

/** Short waits, so that what takes seconds in a cluster takes none in a test. */
export const QUICK: Partial<PeerLimits> = {
  dialMs: 1_000,
  helloMs: 500,
  backoff: { baseMs: 5, maxMs: 40 },
  pingIntervalMs: 50,
  closeMs: 200,
};

/** A member that only listens to what its transport tells it. */
export class TestMember implements PeerHandler, AsyncDisposable {
  readonly id: bigint;
  readonly transport: TcpTransport;
  readonly received: Message[] = [];
  readonly unreachables: bigint[] = [];
  readonly removed = new Set<bigint>();
  readonly lines: LogLine[];
  removals = 0;
  url = "";
  port = 0;
  onReceive: (message: Message) => void = () => undefined;
  onSnapshot: (message: SnapshotMessage, body: AsyncIterable<Uint8Array>) => Promise<void> = () =>
    Promise.reject(new Error("no snapshot is expected"));

  constructor(id: bigint, options: Partial<TcpTransportOptions> = {}) {
    const { log, lines } = recordedLog();
    this.id = id;
    this.lines = lines;
    this.transport = new TcpTransport({
      id,
      clusterId: CLUSTER,
      peerUrls: () => [this.url],
      handler: this,
      isRemoved: (member) => this.removed.has(member),
      onRemoved: () => {
        this.removals += 1;
      },
      clock: systemClock,
      random: seededRandom(Number(id)),
      logger: log,
      ...options,
      limits: { ...QUICK, ...options.limits },
    });
  }

  /** A member that listens on a free port, or on a given one. */
  static async start(
    id: bigint,
    options: Partial<TcpTransportOptions> & { readonly port?: number } = {},
  ): Promise<TestMember> {
    const member = new TestMember(id, options);
    member.port = await member.transport.listen({ host: "127.0.0.1", port: options.port ?? 0 });
    member.url = `http://127.0.0.1:${member.port}`;
    return member;
  }

  receive(message: Message): void {
    this.received.push(message);
    this.onReceive(message);
  }

  receiveSnapshot(message: SnapshotMessage, body: AsyncIterable<Uint8Array>): Promise<void> {
    return this.onSnapshot(message, body);
  }

  unreachable(id: bigint): void {
    this.unreachables.push(id);
  }

  /** From now on it talks with these, at the URLs that are given or their own. */
  knows(...others: readonly (TestMember | readonly [bigint, string])[]): void {
    const pairs = others.map((other) =>
      other instanceof TestMember ? ([other.id, other.url] as const) : other,
    );
    this.transport.setPeers(new Map(pairs.map(([id, url]) => [id, { peerUrls: [url] }])));
  }

  countersOf(id: bigint) {
    const counters = this.transport.counters().get(id);
    if (counters === undefined) throw new Error(`member ${id} is no peer`);
    return counters;
  }

  logged(text: string): LogLine[] {
    return this.lines.filter(({ msg }) => msg.includes(text));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.transport.close();
  }
}

/** Two members that know each other and are connected both ways. */
export async function pair(
  options: Partial<TcpTransportOptions> = {},
): Promise<readonly [TestMember, TestMember]> {
  const one = await TestMember.start(1n, options);
  const two = await TestMember.start(2n, options);
  one.knows(two);
  two.knows(one);
  await until(() => one.transport.isActive(2n) && two.transport.isActive(1n), "both are connected");
  return [one, two];
}

/** One sends to two by way of a wire that can be held and cut; neither ends a connection because it is silent. */
export async function wiredPair(limits: {
  readonly one?: Partial<PeerLimits>;
  readonly two?: Partial<PeerLimits>;
}) {
  const patient = { silentLooksMax: 1_000_000 };
  const one = await TestMember.start(1n, { limits: { ...patient, ...limits.one } });
  const two = await TestMember.start(2n, { limits: { ...patient, ...limits.two } });
  const wire = await TcpProxy.start(two.url);
  one.knows([2n, wire.endpoint]);
  two.knows(one);
  await until(() => one.transport.isActive(2n), "it is connected");
  const close = async () => {
    await one.transport.close();
    await two.transport.close();
    await wire[Symbol.asyncDispose]();
  };
  return { one, two, wire, [Symbol.asyncDispose]: close };
}

/** A connection like a peer's, to say on it what no peer would. */
export function dialAs(from: bigint, to: TestMember): Promise<FrameChannel> {
  return openChannel(
    to.url,
    { kind: "messages", clusterId: CLUSTER, from, to: to.id, peerUrls: [] },
    {
      limits: PEER_LIMITS,
      later: systemLater,
      meter: { sentBytes: 0, receivedBytes: 0 },
      signal: new AbortController().signal,
    },
  );
}

/** An append with one entry of this size. */
export function append(from: bigint, to: bigint, index: number, bytes: number): AppendMessage {
  const entry = { kind: "normal", term: 1, index, data: Buffer.alloc(bytes, index) } as const;
  const prev = { term: 1, index: index - 1 };
  return { kind: "append", from, to, term: 1, prev, entries: [entry], commit: 0 };
}

export function heartbeat(from: bigint, to: bigint, commit: number): HeartbeatMessage {
  return { kind: "heartbeat", from, to, term: 1, commit, readPosition: 0 };
}

/** Looks again and again; fails after 10 s, naming what it waited for. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let looks = 0; looks < 2_000; looks += 1) {
    if (condition()) return;
    await sleep(5);
  }
  throw new Error(`Waited 10 s in vain until ${what}`);
}
