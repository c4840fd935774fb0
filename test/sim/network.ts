import type { Chance } from "./chance.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Timeline } from "./timeline.ts";

/** How one direction between two members behaves. */
export interface LinkWeather {
  /** Of each message. */
  readonly dropRate: number;
  readonly duplicateRate: number;
  /** Of each message: it may be overtaken, by much. */
  readonly reorderRate: number;
  /** Typical time on the way; now and then it takes a hundred times that. */
  readonly delayMs: number;
}

/** Nothing is lost, and everything arrives in order. */
export function fairWeather(delayMs: number): LinkWeather {
  return { dropRate: 0, duplicateRate: 0, reorderRate: 0, delayMs };
}

/** One end of a connection. */
export interface Station {
  readonly id: bigint;
  readonly process: SimProcess;
}

interface Link {
  /** Faults that cut it. */
  cuts: number;
  weather: LinkWeather;
  /** Nothing arrives before what was sent before it. */
  lastArrivalMs: number;
}

/** Of what a dead process has sent, this much had left its machine. */
const LAST_WORDS_RATE = 0.5;
/** Longest that a reordered message is late. */
const REORDER_MS_MAX = 3000;

/** The network between members: what happens to a message on its way, by direction. Ids are places, not processes. */
export class Network {
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #links = new Map<bigint, Map<bigint, Link>>();
  readonly #usual: LinkWeather;
  #weather: LinkWeather;

  /** `usual`: how it is while there is no fault. */
  constructor(timeline: Timeline, chance: Chance, usual: LinkWeather) {
    this.#timeline = timeline;
    this.#chance = chance;
    this.#usual = usual;
    this.#weather = usual;
  }

  /** Of every link; undefined: as usual. */
  setWeather(weather: LinkWeather = this.#usual): void {
    this.#weather = weather;
    for (const links of this.#links.values()) for (const link of links.values()) link.weather = weather;
  }

  setLinkWeather(from: bigint, to: bigint, weather: LinkWeather = this.#usual): void {
    this.#link(from, to).weather = weather;
  }

  /** Cuts ways, each in one direction, and returns how they are mended. A way may be cut by several faults. */
  cut(ways: readonly (readonly [from: bigint, to: bigint])[]): () => void {
    const links = ways.map(([from, to]) => this.#link(from, to));
    for (const link of links) link.cuts += 1;
    return () => {
      for (const link of links) link.cuts -= 1;
    };
  }

  isCut(from: bigint, to: bigint): boolean {
    return this.#link(from, to).cuts > 0;
  }

  /**
   * Sends something to a process, in order with what was sent on this way before, unless the weather is bad. What is on its
   * way when the link is cut or the receiver dies is lost, and some of it when the sender dies. False: it was lost at once,
   * and the sender might notice.
   */
  send(from: Station, to: Station, deliver: () => void): boolean {
    const link = this.#link(from.id, to.id);
    if (link.cuts > 0 || to.process.isDead) return false;
    const { weather } = link;
    const chance = this.#chance;
    if (weather.dropRate > 0 && chance.hits(weather.dropRate)) return true;
    const arrive = () => {
      const isLost = link.cuts > 0 || (from.process.isDead && !chance.hits(LAST_WORDS_RATE));
      if (!isLost) deliver();
    };
    this.#carry(link, to.process, arrive);
    if (weather.duplicateRate > 0 && chance.hits(weather.duplicateRate))
      this.#carry(link, to.process, arrive);
    return true;
  }

  /** Sends a part of a stream: it arrives behind the one before, or the connection breaks. */
  carryInOrder(from: Station, to: Station, deliver: () => void, onBroken: (reason: string) => void): void {
    const link = this.#link(from.id, to.id);
    const { nowMs } = this.#timeline;
    link.lastArrivalMs = Math.max(link.lastArrivalMs, nowMs + this.#chance.longTail(link.weather.delayMs));
    to.process.after(link.lastArrivalMs - nowMs, () => {
      if (link.cuts === 0) deliver();
      else onBroken("the link is cut");
    });
  }

  #carry(link: Link, receiver: SimProcess, arrive: () => void): void {
    const { nowMs } = this.#timeline;
    const { weather } = link;
    const chance = this.#chance;
    const arrivalMs = nowMs + chance.longTail(weather.delayMs);
    if (weather.reorderRate > 0 && chance.hits(weather.reorderRate)) {
      receiver.after(arrivalMs - nowMs + chance.between(0, REORDER_MS_MAX) * chance.next(), arrive);
      return;
    }
    link.lastArrivalMs = Math.max(link.lastArrivalMs, arrivalMs);
    receiver.after(link.lastArrivalMs - nowMs, arrive);
  }

  #link(from: bigint, to: bigint): Link {
    let links = this.#links.get(from);
    if (links === undefined) {
      links = new Map();
      this.#links.set(from, links);
    }
    let link = links.get(to);
    if (link === undefined) {
      link = { cuts: 0, weather: this.#weather, lastArrivalMs: 0 };
      links.set(to, link);
    }
    return link;
  }
}
