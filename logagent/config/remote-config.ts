import { backoffMs } from "../../base/backoff.ts";
import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { InvariantError } from "../../base/invariant.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { VersionedFile } from "../../base/versioned-file.ts";
import type { Entry } from "../../conf/collect-config.ts";
import type { GetResult } from "../../store/client/results.ts";
import type { WatchItem, WatchOptions } from "../../store/client/types.ts";
import type { ConfigState } from "../status/config-state.ts";
import type { LastGood } from "./last-good.ts";
import { LastGoodWriter } from "./last-good-writer.ts";

/** What it needs of the store's client. */
export interface ConfigSource {
  get(key: string, options: { readonly signal: AbortSignal }): Promise<GetResult>;
  watch(options: WatchOptions): AsyncIterable<WatchItem>;
}

export interface RemoteConfigDeps {
  readonly source: ConfigSource;
  /** Of the collect config, the identity filled in. */
  readonly key: string;
  /** Throws CodedError "EBADCONFIG" for a list with any mistake. */
  readonly parse: (value: Uint8Array) => Entry[];
  readonly lastGood: Pick<VersionedFile<LastGood>, "read" | "write">;
  /** Takes a whole list that validated; must not throw. */
  readonly apply: (entries: readonly Entry[], revision: number) => void;
  /** Told after every change of {@link RemoteConfig.state}. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** How long a start waits for the store before the config on disk is used. */
const STORE_GRACE_MS = 2_000;
const RETRY = { baseMs: 250, maxMs: 10_000 } as const;
const EMPTY_LIST = Buffer.from("[]");

/**
 * Follows the collect config: get at revision R, watch from R + 1; the client resumes broken watches, and a compacted one
 * starts over with a get. A deleted key is an empty list. A value that does not validate changes nothing but `state`.
 */
export class RemoteConfig {
  readonly #deps: RemoteConfigDeps;
  #state: ConfigState = {
    applied: undefined,
    failed: undefined,
    storeIsOlder: false,
    saveFailure: undefined,
  };
  /** The last value that was looked at; undefined in it: no such key. */
  #seen: { readonly revision: number; readonly value: Uint8Array | undefined } | undefined;
  #storeAnswered = false;
  #attempt = 0;
  readonly #lastGoodWriter: LastGoodWriter;

  constructor(deps: RemoteConfigDeps) {
    this.#deps = deps;
    const { lastGood: file, clock, log: logger } = deps;
    const onFailure = () => this.#change({ ...this.#state, saveFailure: this.#lastGoodWriter.failure });
    this.#lastGoodWriter = new LastGoodWriter({ file, onFailure, clock, logger });
  }

  get state(): ConfigState {
    return this.#state;
  }

  /** Works until the signal is aborted, then resolves (the last good config is on disk by then, if the disk takes it). */
  async run(signal: AbortSignal): Promise<void> {
    const fallback = this.#fallBackWhenStoreIsAway(signal);
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof InvariantError) throw error;
        await this.#waitToRetry(error, signal);
      }
    }
    await fallback;
    await this.#lastGoodWriter.close();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { source, key } = this.#deps;
    const { header, kv } = await source.get(key, { signal });
    if (!this.#storeAnswered || this.#attempt > 0) {
      this.#deps.log.info({ key, revision: header.revision }, "store answered");
    }
    this.#storeAnswered = true;
    this.#attempt = 0;
    await this.#take(kv?.value, kv?.modRevision ?? header.revision);
    for await (const item of source.watch({ key, startRevision: header.revision + 1, signal })) {
      if (item.kind === "compacted") {
        this.#deps.log.warn(
          { compactRevision: item.compactRevision },
          "config watch compacted, reading again",
        );
        return;
      }
      // Only the newest value counts: a burst of puts is one change.
      const last = item.kind === "events" ? item.events.at(-1) : undefined;
      if (last === undefined) continue;
      await this.#take(last.type === "put" ? last.kv.value : undefined, last.kv.modRevision);
    }
  }

  async #waitToRetry(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#deps;
    const waitMs = backoffMs(this.#attempt, RETRY, random);
    if (this.#attempt === 0) log.warn({ reason: errorMessage(error) }, "store not reached, trying again");
    this.#attempt += 1;
    await sleepUnlessAborted(clock, waitMs, { signal });
  }

  /** `value` undefined: there is no such key at that revision. */
  async #take(value: Uint8Array | undefined, revision: number): Promise<void> {
    if (this.#isSeen(value, revision)) return;
    if (value === undefined && (await this.#isOlderThanApplied(revision))) return;
    this.#seen = { value, revision };
    let entries: Entry[];
    try {
      entries = value === undefined ? [] : this.#deps.parse(value);
    } catch (error) {
      await this.#refuse(revision, errorMessage(error));
      return;
    }
    this.#apply(entries, revision, "store");
    const text = (value === undefined ? EMPTY_LIST : Buffer.from(value)).toString("utf8");
    this.#lastGoodWriter.save({ key: this.#deps.key, revision, value: text });
  }

  /** A get after a broken watch mostly finds what is known; the revision of an absent key is the store's, and moves. */
  #isSeen(value: Uint8Array | undefined, revision: number): boolean {
    if (this.#seen === undefined) return false;
    if (value === undefined || this.#seen.value === undefined) return value === this.#seen.value;
    return this.#seen.revision === revision && Buffer.compare(this.#seen.value, value) === 0;
  }

  /** A store that lost its history is no reason to stop every task; the next put to it counts again. */
  async #isOlderThanApplied(storeRevision: number): Promise<boolean> {
    const appliedRevision = this.#state.applied?.revision ?? (await this.#readLastGood())?.revision ?? 0;
    if (storeRevision >= appliedRevision) return false;
    const message = "store has no config and is older than the applied one, the applied one stays";
    this.#deps.log.error({ storeRevision, appliedRevision }, message);
    if (!this.#state.storeIsOlder) this.#change({ ...this.#state, storeIsOlder: true });
    await this.#applyLastGood();
    return true;
  }

  async #refuse(revision: number, reason: string): Promise<void> {
    this.#deps.log.error({ revision, reason }, "config refused, the running one stays");
    this.#change({ ...this.#state, failed: { revision, reason } });
    await this.#applyLastGood();
  }

  #apply(entries: readonly Entry[], revision: number, origin: "store" | "disk"): void {
    const applied = { revision, entries: entries.length, origin };
    this.#deps.apply(entries, revision);
    const isTrusted = origin === "store" ? { failed: undefined, storeIsOlder: false } : {};
    this.#change({ ...this.#state, ...isTrusted, applied });
    this.#deps.log.info({ revision, entries: entries.length, origin }, "config applied");
  }

  #change(state: ConfigState): void {
    this.#state = state;
    this.#deps.onChange();
  }

  async #fallBackWhenStoreIsAway(signal: AbortSignal): Promise<void> {
    await sleepUnlessAborted(this.#deps.clock, STORE_GRACE_MS, { signal });
    if (!signal.aborted && !this.#storeAnswered) await this.#applyLastGood();
  }

  /** Does nothing when something is applied already. */
  async #applyLastGood(): Promise<void> {
    if (this.#state.applied !== undefined) return;
    const lastGood = await this.#readLastGood();
    if (this.#state.applied !== undefined) return;
    if (lastGood === undefined) {
      this.#deps.log.warn({ key: this.#deps.key }, "no last good config, waiting for one");
      return;
    }
    try {
      const entries = this.#deps.parse(Buffer.from(lastGood.value));
      this.#deps.log.warn({ revision: lastGood.revision }, "last good config used");
      this.#apply(entries, lastGood.revision, "disk");
    } catch (error) {
      this.#deps.log.error({ reason: errorMessage(error) }, "last good config refused");
    }
  }

  async #readLastGood(): Promise<LastGood | undefined> {
    const { lastGood, key, log } = this.#deps;
    try {
      const found = await lastGood.read();
      if (found === undefined || found.key === key) return found;
      log.warn({ savedKey: found.key, key }, "last good config is of another key, not used");
    } catch (error) {
      log.error({ reason: errorMessage(error) }, "last good config not readable");
    }
    return undefined;
  }
}
