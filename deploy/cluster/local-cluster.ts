import { join } from "node:path";
import { localAddresses } from "./local-addresses.ts";
import { LocalMember, type MemberAddress, until } from "./local-member.ts";

export interface LocalClusterOptions {
  /** Holds a folder for each member, named as it; made when absent, and kept. */
  readonly folder: string;
  /** The first members; {@link localAddresses} finds them. */
  readonly addresses: readonly MemberAddress[];
  readonly token?: string;
  /** More flags, for each member at each start. */
  readonly args?: readonly string[];
  /** More variables, for each member at each start. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const TOKEN = "local-cluster";
const LEADER_TIMEOUT_MS = 30_000;
const LEADER_POLL_MS = 50;

/**
 * A cluster of `logstore` processes on this machine. None of them outlives {@link close}, nor this process, however it ends.
 *
 *     await using cluster = await LocalCluster.start({ folder });
 *     const leader = await cluster.waitForLeader();
 *     await leader.kill();
 */
export class LocalCluster implements AsyncDisposable {
  readonly #options: LocalClusterOptions;
  readonly #members = new Map<string, LocalMember>();

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    const initialCluster = options.addresses.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
    for (const address of options.addresses) this.#make(address, { initialCluster, state: "new" });
  }

  /** `size` members (3) on free ports; resolves when each of them serves, and one leads. */
  static async start(
    options: Omit<LocalClusterOptions, "addresses"> & { readonly size?: number },
  ): Promise<LocalCluster> {
    const addresses = await localAddresses({ size: options.size ?? 3, preferDefaults: false });
    const cluster = new LocalCluster({ ...options, addresses });
    try {
      await cluster.start();
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** Starts every member that is stopped; resolves when each of them serves, and one leads. */
  async start(): Promise<LocalMember> {
    await Promise.all(this.members.map((member) => member.start()));
    return this.waitForLeader();
  }

  get members(): readonly LocalMember[] {
    return [...this.#members.values()];
  }

  /** Client URLs of all members, whether they run or not. */
  get endpoints(): readonly string[] {
    return this.members.map(({ clientUrl }) => clientUrl);
  }

  /** Throws for a name that no member has. */
  member(name: string): LocalMember {
    const member = this.#members.get(name);
    if (member !== undefined) return member;
    throw new Error(`There is no member ${name}; the members are ${[...this.#members.keys()].join(", ")}`);
  }

  /**
   * A further member, to be started after `member add`; `initialCluster` is what that printed (names and peer URLs of all
   * members, this one among them).
   */
  join(address: MemberAddress, initialCluster: string): LocalMember {
    return this.#make(address, { initialCluster, state: "existing" });
  }

  /** The member that leads, in its own words and in those of more than half of the members. */
  async leader(): Promise<LocalMember | undefined> {
    const answers = await Promise.all(
      this.members.map(async (member) => ({ member, status: await member.status() })),
    );
    const named = (id: bigint, term: number) =>
      answers.filter(({ status }) => status?.leader === id && status.raftTerm === term).length;
    const found = answers.find(({ status }) => {
      if (status === undefined || status.leader === 0n || status.leader !== status.header.memberId)
        return false;
      return named(status.leader, status.raftTerm) * 2 > this.members.length;
    });
    return found?.member;
  }

  /** Throws when there is none in time. */
  waitForLeader(
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<LocalMember> {
    const timeoutMs = options.timeoutMs ?? LEADER_TIMEOUT_MS;
    return until(() => this.leader(), {
      timeoutMs,
      intervalMs: LEADER_POLL_MS,
      signal: options.signal,
      otherwise: () =>
        `There is no leader after ${timeoutMs} ms: ${this.members.map(({ name, state }) => `${name} is ${state}`).join(", ")}`,
    });
  }

  /** Stops all members for good, by SIGKILL where SIGTERM takes too long. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #make(
    address: MemberAddress,
    { initialCluster, state }: { readonly initialCluster: string; readonly state: "new" | "existing" },
  ): LocalMember {
    const { folder, token = TOKEN, args = [], env = {} } = this.#options;
    const member = new LocalMember({
      ...address,
      folder: join(folder, address.name),
      args: [
        `--initial-cluster=${initialCluster}`,
        `--initial-cluster-state=${state}`,
        `--initial-cluster-token=${token}`,
        ...args,
      ],
      env,
    });
    this.#members.set(address.name, member);
    return member;
  }
}
