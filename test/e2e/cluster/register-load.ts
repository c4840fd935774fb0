import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../../base/random.ts";
import { type History, REGISTERS } from "./history.ts";
import type { RegisterClient, Span } from "./register-client.ts";

const REGISTER_COUNT = 12;
const KEYS = Array.from({ length: REGISTER_COUNT }, (_, i) => `${REGISTERS}${String(i).padStart(2, "0")}`);

/** Keeps one client at work, one call after another, and tells the history of each. */
export class RegisterLoad {
  readonly #client: RegisterClient;
  readonly #history: History;
  readonly #random: Random;
  readonly #thinkMs: number;
  /** What it last saw of each key. */
  readonly #seen = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #count = 0;

  /** `thinkMs`: between two calls, on average. */
  constructor(
    client: RegisterClient,
    options: { readonly history: History; readonly random: Random; readonly thinkMs: number },
  ) {
    this.#client = client;
    this.#history = options.history;
    this.#random = options.random;
    this.#thinkMs = options.thinkMs;
    this.#running = this.#run();
  }

  /** Resolves when its last call has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#client[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#one();
      await sleep(this.#random.next() * 2 * this.#thinkMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #one(): Promise<void> {
    const key = this.#pickKey();
    const kind = this.#random.next();
    if (kind < 0.35) return this.#put([key]);
    if (kind < 0.45) return this.#put([...new Set([key, this.#pickKey()])]);
    if (kind < 0.6) return this.#swap(key);
    if (kind < 0.67) return this.#delete(key);
    if (kind < 0.85) return this.#read({ key }, false);
    if (kind < 0.95) return this.#read({ prefix: REGISTERS }, false);
    return this.#read({ prefix: REGISTERS }, true);
  }

  async #put(keys: readonly string[]): Promise<void> {
    const value = this.#value();
    const write = this.#history.beginWrite(`${this.#client.name}: put`, keys, value);
    const reply = await this.#client.put(keys, value);
    if (reply.kind === "done") {
      this.#history.wrote(write, reply.revision);
      for (const key of keys) this.#seen.set(key, reply.revision);
    } else if (reply.kind === "failed") this.#history.notWritten(write, reply.code);
    else this.#history.lostSight(write, reply.code);
  }

  async #delete(key: string): Promise<void> {
    const write = this.#history.beginWrite(`${this.#client.name}: delete`, [key], undefined);
    const reply = await this.#client.delete(key);
    if (reply.kind === "unknown") this.#history.lostSight(write, reply.code);
    else if (reply.kind === "failed") this.#history.notWritten(write, reply.code);
    else if (reply.deleted > 0) this.#history.wrote(write, reply.revision);
    else {
      this.#history.notWritten(write, "nothing to delete");
      this.#history.saw(write, { key, revision: reply.revision, kvs: [], stale: false });
    }
  }

  async #swap(key: string): Promise<void> {
    const value = this.#value();
    const expected = this.#seen.get(key) ?? 0;
    const write = this.#history.beginWrite(`${this.#client.name}: swap`, [key], value);
    const reply = await this.#client.swap(key, expected, value);
    if (reply.kind === "unknown") return this.#history.lostSight(write, reply.code);
    if (reply.kind === "failed") return this.#history.notWritten(write, reply.code);
    const { revision, succeeded, kvs } = reply;
    this.#history.compared(write, { expected, revision, succeeded });
    this.#seen.set(key, succeeded ? revision : (kvs[0]?.revision ?? 0));
    if (succeeded) return this.#history.wrote(write, revision);
    this.#history.notWritten(write, "not swapped");
    this.#history.saw(write, { key, revision, kvs, stale: false });
  }

  async #read(span: Span, stale: boolean): Promise<void> {
    const text = "key" in span ? span.key : `${span.prefix}*`;
    const read = this.#history.beginRead(`${this.#client.name}: ${stale ? "serializable " : ""}read ${text}`);
    const reply = await this.#client.read(span, { stale });
    if (reply.kind !== "done") return;
    this.#history.saw(read, { ...span, ...reply, stale });
    for (const { key, revision } of reply.kvs) this.#seen.set(key, revision);
  }

  #pickKey(): string {
    return KEYS[Math.floor(this.#random.next() * KEYS.length)] ?? "";
  }

  #value(): string {
    this.#count += 1;
    return `${this.#client.name}.${this.#count}`;
  }
}
