import { setTimeout as sleep } from "node:timers/promises";
import { type Random, seededRandom } from "../../../base/random.ts";
import { StoreClient } from "../../../store/client/client.ts";
import { EtcdctlRegisterClient } from "./etcdctl-register-client.ts";
import { History } from "./history.ts";
import { Leases } from "./leases.ts";
import { RawRegisterClient } from "./raw-register-client.ts";
import { timeToRecover } from "./recovery.ts";
import type { RegisterClient } from "./register-client.ts";
import { RegisterLoad } from "./register-load.ts";
import { StoreRegisterClient } from "./store-register-client.ts";
import { readHistory, type Watcher, watchByEtcdctl, watchByStoreClient, watchByStream } from "./watchers.ts";

/** The store is empty at this revision. */
const FIRST_REVISION = 1;
const WATCH_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 15_000;
const RAW_TIMEOUT_MS = 1_000;
/** Of the load's own client: it asks the next member before a person would notice. */
const LIMITS = { dialTimeoutMs: 500, tryTimeoutMs: 1_000, callTimeoutMs: 4_000, backoffMaxMs: 500 };

/**
 * Everybody who uses the store during a test, and the history that they are held to: registers by our client, by plain
 * calls to single members and by the Go etcdctl; watchers of the same three kinds; leases.
 */
export class Witnesses implements AsyncDisposable {
  readonly history: History;
  readonly #endpoints: readonly string[];
  readonly #client: StoreClient;
  readonly #probes: readonly RegisterClient[];
  readonly #loads: readonly RegisterLoad[];
  readonly #watchers: Watcher[] = [];
  #changeStream: () => void = () => undefined;
  #leases: Leases | undefined;
  /** Everything up to here was compared on every member. */
  #judged = FIRST_REVISION;
  #isOver = false;

  private constructor(endpoints: readonly string[], random: Random) {
    this.#endpoints = endpoints;
    this.history = new History({ start: FIRST_REVISION });
    this.#client = StoreClient.create({ endpoints });
    this.#probes = endpoints.map(
      (endpoint, i) => new RawRegisterClient(`probe${i + 1}`, endpoint, { timeoutMs: RAW_TIMEOUT_MS }),
    );
    const load = (client: RegisterClient, thinkMs: number) =>
      new RegisterLoad(client, {
        history: this.history,
        random: seededRandom(Math.floor(random.next() * 2 ** 32)),
        thinkMs,
      });
    this.#loads = [
      ...["ours1", "ours2", "ours3"].map((name) => load(new StoreRegisterClient(name, endpoints, LIMITS), 8)),
      ...endpoints.map((endpoint, i) =>
        load(new RawRegisterClient(`raw${i + 1}`, endpoint, { timeoutMs: RAW_TIMEOUT_MS }), 8),
      ),
      load(new EtcdctlRegisterClient("etcdctl", endpoints), 100),
    ];
  }

  /** Begins with the empty store: before anybody else has written. */
  static async start(endpoints: readonly string[], random: Random): Promise<Witnesses> {
    const witnesses = new Witnesses(endpoints, random);
    await witnesses.#watch();
    witnesses.#leases = await Leases.start(witnesses.history, endpoints);
    return witnesses;
  }

  /** From now until a write that began after now is acknowledged by whichever member, in milliseconds. */
  timeToRecover(name: string, timeoutMs: number): Promise<number> {
    return timeToRecover({ history: this.history, clients: this.#probes, name, timeoutMs });
  }

  /** The watcher that stays with a member for as long as it can goes to another one now. */
  changeStream(): void {
    this.#changeStream();
  }

  /**
   * Every watcher gets as far as the store is now, and every member tells the same history since the last time, by its
   * events and by the hash of all it holds. All members must be there.
   */
  async judge(): Promise<void> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const { header } = await this.#client.get("nothing", { signal });
    const upTo = header.revision;
    await this.#untilWatched(upTo);
    await Promise.all(
      this.#endpoints.map((endpoint) =>
        readHistory(this.history.revisions.reader(`member ${endpoint}`, this.#judged), endpoint, {
          upTo,
          timeoutMs: WATCH_TIMEOUT_MS,
        }),
      ),
    );
    const hashes = await Promise.all(
      this.#endpoints.map((endpoint) => this.#client.hashKv(endpoint, { revision: upTo, signal })),
    );
    if (new Set(hashes.map(({ hash }) => hash)).size > 1) {
      const text = hashes.map(({ hash }, i) => `${this.#endpoints[i]} ${hash.toString(16)}`).join(", ");
      this.history.violate("equal state", `hashes at ${upTo} differ: ${text}`);
    }
    this.history.revisions.forgetBefore(this.#judged);
    this.#judged = upTo;
  }

  /** Ends everything, and judges what can only be judged then. All members must be there. */
  async stop(): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.stop()));
    await this.#leases?.stop();
    await this.judge();
    if (this.history.waiting > 0) {
      this.history.violate(
        "acknowledged",
        `${this.history.waiting} answers name revisions that are not there`,
      );
    }
    this.history.assertDeletesExplained();
    for (const watcher of this.#watchers) await watcher.stop();
    await this[Symbol.asyncDispose]();
  }

  /** Ends everything, and judges nothing: after a failure. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await Promise.all(this.#loads.map((load) => load.stop()));
    await this.#leases?.[Symbol.asyncDispose]();
    await Promise.allSettled(this.#watchers.map((watcher) => watcher.stop()));
    for (const probe of this.#probes) probe[Symbol.dispose]();
    this.#client.close();
  }

  async #watch(): Promise<void> {
    const reader = (name: string) => this.history.revisions.reader(name, FIRST_REVISION);
    const stream = watchByStream(reader("stream"), this.#endpoints);
    this.#changeStream = () => stream.change();
    this.#watchers.push(
      stream,
      watchByStoreClient(reader("our watch"), this.#endpoints),
      watchByStoreClient(reader("our other watch"), this.#endpoints),
      await watchByEtcdctl(reader("etcdctl watch"), this.#endpoints),
    );
  }

  async #untilWatched(revision: number): Promise<void> {
    const deadline = performance.now() + WATCH_TIMEOUT_MS;
    const behind = () => this.#watchers.filter(({ reader }) => reader.last < revision);
    while (behind().length > 0) {
      if (performance.now() > deadline) {
        const text = behind().map(({ reader }) => `${reader.name} has ${reader.last}`);
        this.history.violate("watch complete", `revision ${revision} was not heard of: ${text.join(", ")}`);
        return;
      }
      await sleep(10);
    }
  }
}
