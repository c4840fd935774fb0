import { MemFile } from "../../store/backend/mem-backend.ts";
import type { Member } from "../../store/membership/types.ts";
import type { Chance } from "./chance.ts";
import { SimClock } from "./sim-clock.ts";
import { SimDisk } from "./sim-disk.ts";
import type { SimMember } from "./sim-member.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Timeline } from "./timeline.ts";

/** What a member runs on, and what outlives its processes: clock, disk, and the backend's file. */
export class SimMachine {
  readonly id: bigint;
  readonly name: string;
  /** Where its member listens for others. */
  readonly peerUrl: string;
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly file = new MemFile();
  /** Its present life; undefined while it is down. */
  process: SimProcess | undefined;
  /** Undefined while it is down, or has not opened yet. */
  member: SimMember | undefined;
  /** Whom it may talk with until its log tells it. */
  readonly knownMembers: readonly Member[];
  /** Somebody who ends it for good, or keeps it down for a while: nobody restarts it meanwhile. */
  keptDown = 0;
  /** Removed from the cluster: it is never started again. */
  isRetired = false;

  constructor(options: {
    readonly id: bigint;
    readonly timeline: Timeline;
    readonly chance: Chance;
    readonly knownMembers: readonly Member[];
  }) {
    this.id = options.id;
    this.peerUrl = options.knownMembers.find(({ id }) => id === options.id)?.peerUrls[0] ?? "";
    this.knownMembers = options.knownMembers;
    this.name = options.id.toString(16);
    this.clock = new SimClock(options.timeline, options.chance.between(0, 1e9));
    this.disk = new SimDisk(options.chance);
  }
}
