import assert from "node:assert/strict";
import { type EtcdServer, etcdctl, etcdProgram, startEtcd } from "../support/etcd.ts";
import { type RunningProcess, startProcess, temporaryFolder } from "../support/process.ts";
import { type Logstore, startLogstore } from "./logstore.ts";

/**
 * What is the same on both, so that ids and addresses are too: they are computed from these and told to clients, and
 * nobody connects to them.
 */
export const PEER_URL = "http://store.example:2380";
const CLIENT_URL = "http://store.example:2379";
const SAME_FLAGS = [
  `--initial-advertise-peer-urls=${PEER_URL}`,
  `--initial-cluster=one=${PEER_URL}`,
  `--advertise-client-urls=${CLIENT_URL}`,
];

/** A command of etcdctl, and what of its output is left out of the comparison. */
export interface Step {
  readonly args: readonly string[];
  readonly stdin?: string;
  /** Where etcd and logstore differ by design; each with its reason in the table. */
  readonly normalize?: (text: string) => string;
}

export interface StepOutput {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real etcd and a logstore, driven by the same real etcdctl. */
export class BothStores implements AsyncDisposable {
  readonly #etcd: EtcdServer;
  readonly #logstore: Logstore;
  /** By server: the ids that it chose for leases, in order. */
  readonly #leases = new Map<string, string[]>();

  private constructor(etcd: EtcdServer, logstore: Logstore) {
    this.#etcd = etcd;
    this.#logstore = logstore;
  }

  static async start(args: readonly string[] = []): Promise<BothStores> {
    const etcd = await startEtcd({ args: [...SAME_FLAGS, ...args] });
    const logstore = await startLogstore({
      folder: temporaryFolder("logstore"),
      args: [...SAME_FLAGS, ...args],
    });
    return new BothStores(etcd, logstore);
  }

  /** Runs one command on both and asserts that it says the same. `$LEASE1` is the first lease that was granted. */
  async compare(step: Step): Promise<void> {
    const [expected, actual] = await Promise.all(this.endpoints.map((endpoint) => this.#run(step, endpoint)));
    assert.deepEqual(actual, expected, `etcdctl ${step.args.join(" ")}`);
    assert.ok(
      !expected?.stderr.includes("goroutine"),
      `etcdctl ${step.args.join(" ")} is a crash of etcdctl`,
    );
  }

  get endpoints(): readonly [etcd: string, logstore: string] {
    return [this.#etcd.endpoint, this.#logstore.endpoint];
  }

  /** Starts a command that goes on (`watch`) on both. */
  async follow(args: readonly string[]): Promise<RunningProcess[]> {
    const program = await etcdProgram("etcdctl");
    return Promise.all(
      this.endpoints.map((endpoint) => startProcess(program, args, { env: { ETCDCTL_ENDPOINTS: endpoint } })),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#etcd.stop();
    await this.#logstore[Symbol.asyncDispose]();
  }

  async #run(step: Step, endpoint: string): Promise<StepOutput> {
    const leases = this.#leases.get(endpoint) ?? [];
    this.#leases.set(endpoint, leases);
    const args = step.args.map((arg) =>
      arg.replace(/\$LEASE(\d+)/, (_, number) => leases[number - 1] ?? "none"),
    );
    const { stdin } = step;
    const { code, stdout, stderr } = await etcdctl(args, { endpoint, ...(stdin !== undefined && { stdin }) });
    for (const [, id = ""] of stdout.matchAll(/lease ([0-9a-f]{16}) granted/g)) leases.push(id);
    const same = (text: string) => {
      const common = normalized(text, { endpoint, leases });
      return step.normalize === undefined ? common : step.normalize(common);
    };
    // Lines of JSON on stderr are the client's own log of its connection.
    return { code, stdout: same(stdout), stderr: same(stderr.replace(/^\{.*\}\n/gm, "")) };
  }
}

/** Takes out what differs between two runs of one server too: addresses, chosen ids, times, the term. */
export function normalized(
  text: string,
  { endpoint, leases }: { readonly endpoint: string; readonly leases: readonly string[] },
): string {
  let same = text.replaceAll(endpoint, "ENDPOINT");
  for (const [index, id] of leases.entries()) {
    same = same
      .replaceAll(id, `LEASE${index + 1}`)
      .replaceAll(new RegExp(`(?<!\\d)${BigInt(`0x${id}`)}(?!\\d)`, "g"), `LEASE${index + 1}`);
  }
  return (
    same
      // etcd's first election is its second term, because the first holds its own membership; the number means nothing.
      .replaceAll(/"(raft_term|raftTerm)":\d+/g, '"$1":T')
      .replaceAll(/"RaftTerm" : \d+/gi, '"RaftTerm" : T')
      // Seconds pass between one store's command and the other's.
      .replaceAll(/remaining\(\d+s\)/g, "remaining(S)")
      .replaceAll(/took(?: =)? [\d.]+(?:ns|µs|ms|s)/g, "took TIME")
      .replaceAll(/"took":"[^"]*"/g, '"took":"TIME"')
  );
}
