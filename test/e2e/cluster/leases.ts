import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "../../../base/errors.ts";
import { leash, unleash } from "../../../deploy/leash.ts";
import { StoreClient } from "../../../store/client/client.ts";
import { ClientError } from "../../../store/client/client-error.ts";
import { LeaseKeeper } from "../../../store/client/lease-keeper.ts";
import { etcdProgram } from "../../support/etcd.ts";
import type { History } from "./history.ts";

const KEPT = "kept/";
const MORTAL = "mortal/";
/** Long enough for a client that waits for a member that hangs, and then asks another. */
const KEPT_TTL_SECONDS = 15;
const MORTAL_TTL_SECONDS = 4;
const MORTAL_EVERY_MS = 2_000;
/** A leader that is new gives each lease its whole time again: only when leaders stay is it known when leases end. */
const SETTLE_TIMEOUT_MS = 15_000;
const OUTPUT_CHARACTERS = 400;
const CALL_TIMEOUT_MS = 10_000;

/**
 * Two leases that are kept, by our client and by the Go etcdctl, and must never run out; and ones that are not, and must
 * run out, but not early.
 */
export class Leases implements AsyncDisposable {
  readonly #history: History;
  readonly #client: StoreClient;
  readonly #endpoints: readonly string[];
  readonly #stopping = new AbortController();
  readonly #closing: (() => Promise<unknown>)[] = [];
  /** By key: when its lease was asked for. */
  readonly #mortal = new Map<string, number>();
  #running: Promise<void> = Promise.resolve();
  #isOver = false;

  private constructor(history: History, endpoints: readonly string[]) {
    this.#history = history;
    this.#endpoints = endpoints;
    this.#client = StoreClient.create({ endpoints });
    history.onChange(({ key, value, revision }, atMs) => {
      if (value !== undefined || this.#isOver) return;
      if (key.startsWith(KEPT)) history.violate("lease kept", `${key} is gone at ${revision}`);
      if (key.startsWith(MORTAL)) this.#died(key, atMs);
    });
  }

  static async start(history: History, endpoints: readonly string[]): Promise<Leases> {
    const leases = new Leases(history, endpoints);
    await leases.#keepByStoreClient();
    await leases.#keepByEtcdctl();
    leases.#running = leases.#grantMortal();
    return leases;
  }

  /** Waits until what is not kept has run out, and ends the rest. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    const deadline = performance.now() + SETTLE_TIMEOUT_MS;
    while (this.#mortal.size > 0 && performance.now() < deadline) await sleep(100);
    for (const key of this.#mortal.keys()) this.#history.violate("lease ends", `${key} is still there`);
    await this[Symbol.asyncDispose]();
  }

  /** Ends all leases at once. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopping.abort();
    await this.#running;
    for (const close of this.#closing) await close();
    this.#client.close();
  }

  async #keepByStoreClient(): Promise<void> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const keeper = LeaseKeeper.start({
      client: this.#client,
      ttlSeconds: KEPT_TTL_SECONDS,
      onState: (state) => {
        if (state.kind === "lost" && !this.#isOver) {
          this.#history.violate("lease kept", `our keeper lost its lease: ${state.reason}`);
        }
      },
    });
    this.#closing.push(() => keeper.close({ signal: AbortSignal.timeout(CALL_TIMEOUT_MS) }));
    await this.#client.put(`${KEPT}store-client`, "kept", { lease: await keeper.held({ signal }), signal });
  }

  async #keepByEtcdctl(): Promise<void> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const { id: lease } = await this.#client.leaseGrant(KEPT_TTL_SECONDS, { signal });
    await this.#client.put(`${KEPT}etcdctl`, "kept", { lease, signal });
    const child = spawn(
      await etcdProgram("etcdctl"),
      ["lease", "keep-alive", lease.toString(16), `--endpoints=${this.#endpoints.join(",")}`],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        printed = `${printed}${chunk}`.slice(-OUTPUT_CHARACTERS);
      });
    }
    await once(child, "spawn");
    const { pid } = child;
    if (pid !== undefined) leash(pid);
    const exited = once(child, "exit").then(() => {
      if (pid !== undefined) unleash(pid);
      if (!this.#isOver)
        this.#history.violate("lease kept", `etcdctl lease keep-alive ended by itself: ${printed}`);
    });
    this.#closing.push(() => {
      child.kill();
      return exited;
    });
  }

  async #grantMortal(): Promise<void> {
    const { signal } = this.#stopping;
    for (let number = 1; !signal.aborted; number += 1) {
      const key = `${MORTAL}${number}`;
      const askedMs = performance.now();
      try {
        const { id: lease } = await this.#client.leaseGrant(MORTAL_TTL_SECONDS, { signal });
        this.#mortal.set(key, askedMs);
        await this.#client.put(key, "mortal", { lease, signal });
      } catch (error) {
        // Whether the key is there is not known: it is not waited for.
        this.#mortal.delete(key);
        if (!(error instanceof ClientError) && !signal.aborted) throw new Error(errorMessage(error));
      }
      await sleep(MORTAL_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #died(key: string, atMs: number): void {
    const askedMs = this.#mortal.get(key);
    if (askedMs === undefined) return;
    this.#mortal.delete(key);
    const livedMs = Math.round(atMs - askedMs);
    if (livedMs < MORTAL_TTL_SECONDS * 1_000) {
      this.#history.violate(
        "lease not early",
        `${key} lived ${livedMs} ms, its lease is ${MORTAL_TTL_SECONDS} s`,
      );
    }
  }
}
